"""What planning knows of data and models: sizes and shapes, no inputs and no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One prunable layer: `count` units from `start` on in the flat unit order; `floor` of them always stay.

    `shape` is that of the weight whose elements the units are, in row-major order; empty where they are no elements.
    """

    name: str
    start: int
    count: int
    kind: str = "linear"
    floor: int = 0
    shape: tuple[int, ...] = ()


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
    class_names: tuple[str, ...] = ()
    """What the classes are called, in their order; empty where that is not known."""


BIAS, NORM = "a bias", "of a norm layer"
"""Why parameters are no units that hardly anybody prunes."""


@dataclass(frozen=True)
class Dense:
    """Parameters that stay dense for one reason: how many values they have, and their names."""

    reason: str
    values: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.names[:3]) + (f" and {len(self.names) - 3:,} more" if len(self.names) > 3 else "")
        return f"{self.reason}: {self.values:,} ({shown})"


@dataclass(frozen=True)
class Coverage:
    """Of all values of a network's parameters, those that units own, and the rest by reason, the largest first."""

    values: int
    prunable: int
    dense: tuple[Dense, ...]

    @property
    def weights(self) -> tuple[Dense, ...]:
        """Of what stays dense, all but biases and norm layers."""
        return tuple(one for one in self.dense if one.reason not in (BIAS, NORM))

    @property
    def share(self) -> float:
        """Of the values that units own."""
        return self.prunable / self.values if self.values else 0.0

    def __str__(self) -> str:
        head = f"{self.prunable:,} of {self.values:,} parameters may be pruned ({100 * self.share:.1f} %)"
        return "\n".join([head, *(f"    dense: {one}" for one in self.dense)])


@dataclass(frozen=True)
class ModelInfo:
    """What planning knows of a model and its units, from a probe on the meta device."""

    name: str
    parameters: int
    layers: tuple[Layer, ...]
    coverage: Coverage | None = None
    """What the units reach, and what stays dense; None where that was not looked for."""

    @property
    def units(self) -> int:
        """Units that may be pruned: the denominator of density."""
        return sum(layer.count for layer in self.layers)
