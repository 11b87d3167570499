"""Weights that were published with a network, and how images are prepared for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self, runtime_checkable

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]
"""How images are brought to another size."""


@dataclass(frozen=True)
class Preprocessing:
    """How the images were prepared that a network was trained for.

    Args:
        size: pixels of each side of what the network sees.
        resize: pixels that images are brought to before their middle is cut out.
        crop: what is brought to `resize`: "center" the shorter side, "squash" both, "border" the longer one.
        mean: of each channel of the images scaled to 0..1.
        std: likewise.
        interpolation: how they are brought there.
    """

    size: int
    resize: int
    crop: Literal["center", "squash", "border"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation


@dataclass(frozen=True)
class Pretrained:
    """What was published with a network.

    Args:
        name: the network with the tag of its weights.
        file: where its file belongs, below the data root.
        where: where a person gets that file.
        outputs: how many outputs its head has.
        classes: their names in order; empty where they are not known.
        preprocessing: how images are prepared for it.
        fetch: downloads the file below a data root; says where it came from, revision included.
    """

    name: str
    file: str
    where: str
    outputs: int
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    fetch: Callable[[Path], str]


@runtime_checkable
class Adaptable(Protocol):
    """The configuration of a data set that can prepare images as a network asks."""

    def prepared_for(self, preprocessing: Preprocessing) -> Self:
        """The configuration with what the network asks for.

        Raises:
            PlanError: the file states something else.
        """
        ...
