"""What planning knows of data and models: sizes and shapes, no inputs and no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One prunable layer: `count` units from `start` on in the flat unit order; `floor` of them always stay."""

    name: str
    start: int
    count: int
    kind: str = "linear"
    floor: int = 0


@dataclass(frozen=True)
class DataInfo:
    """What planning knows of a data set: none of its examples, only sizes and a digest of the source."""

    name: str
    digest: str
    sizes: Mapping[str, int]
    """Examples in each split."""
    shape: tuple[int, ...]
    """Of one input as the splits give it: (channels, height, width) of an image, (length,) of a row of tokens."""
    classes: int
    """How many values a target may have: classes of images, tokens of a vocabulary. 0 where targets are no classes."""
    note: str = ""
    """What is special about this copy, such as "subset"; shown with the results."""
    files: tuple[str, ...] = ()
    """The files that it was read from: while their sizes and times stand, it need not be read again for planning."""


@dataclass(frozen=True)
class ModelInfo:
    """What planning knows of a model and its units, from a probe on the meta device."""

    name: str
    parameters: int
    layers: tuple[Layer, ...]

    @property
    def units(self) -> int:
        """Units that may be pruned: the denominator of density."""
        return sum(layer.count for layer in self.layers)
