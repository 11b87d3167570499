"""Frozen values that cross the core and its plugins. No torch at import time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.masks import Mask

State = Mapping[str, "Tensor"]
"""A model's parameters and buffers by qualified name."""

_POSITION = re.compile(r"^\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*(it|ep|%)\s*$")


@dataclass(frozen=True)
class Clock:
    """Turns positions into iterations of one run: its batch size, its data, its horizon."""

    steps_per_epoch: int
    horizon: int | None = None


@dataclass(frozen=True)
class Position:
    """A point of a run: "500it", "2ep" (epochs of that run's batch size) or "2%" (of its horizon)."""

    amount: Fraction
    unit: Literal["it", "ep", "%"]

    @classmethod
    def parse(cls, text: object) -> Position:
        """Read a position. Raises ValueError on a bare number or an unknown unit."""
        if isinstance(text, Position):
            return text
        match = _POSITION.match(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(
                f'{text!r} is not a position: write iterations "500it", epochs "2ep" or a share of the horizon "2%"'
            )
        unit = match.group(2)
        amount = Fraction(match.group(1).replace("_", ""))
        if unit == "it" and amount.denominator != 1:
            raise ValueError(f"{text!r} is not a whole number of iterations")
        return cls(amount, unit)  # type: ignore[arg-type]

    def iterations(self, clock: Clock) -> int:
        """This position in iterations, rounded to the nearest; "%" needs the clock's horizon."""
        if self.unit == "it":
            return int(self.amount)
        if self.unit == "ep":
            return round(self.amount * clock.steps_per_epoch)
        if clock.horizon is None:
            raise ValueError(f'"{self}" is a share of the horizon, and there is none here')
        return round(self.amount * clock.horizon / 100)

    def __str__(self) -> str:
        # Not through a float, which would write "1e-05%".
        return f"{Decimal(self.amount.numerator) / Decimal(self.amount.denominator):f}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def dump(position: Position, info: SerializationInfo) -> str:
            clock = (info.context or {}).get("clock")
            return str(position) if clock is None else f"{position.iterations(clock)}it"

        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(dump, info_arg=True),
            json_schema_input_schema=core_schema.str_schema(pattern=_POSITION.pattern),
        )


class EntryRef(str):
    """The name of another entry; a component's config field of this type makes an edge between entries."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class ComponentConfig(BaseModel):
    """The base of every component's configuration: frozen, unknown keys forbidden, defaults part of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


@dataclass(frozen=True)
class Component:
    """What a plugin offers under one name.

    Args:
        name: how benchmark files call it.
        config: its configuration; resolved with all defaults it is part of every key it takes part in.
        build: called with the configuration; returns an object whose `@hookimpl` methods serve one run.
        version: raised whenever the numbers that it yields change.
        paper: where the idea comes from.
    """

    name: str
    config: type[ComponentConfig]
    build: Callable[[Any], object]
    version: int
    paper: str = ""


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
    """What planning knows of a data set: no pixels, only sizes and a digest of the source."""

    name: str
    digest: str
    sizes: Mapping[str, int]
    shape: tuple[int, int, int]
    classes: int
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


@dataclass(frozen=True)
class Ticket:
    """A mask, the weights to start from, and a position on the learning-rate clock.

    `mask` is None while nothing has been pruned.
    """

    weights: State
    mask: Mask | None
    start: Position


@dataclass(frozen=True)
class Measurement:
    """One number of an analysis, placed by round, position and split where these apply."""

    metric: str
    value: float
    unit: str = ""
    round: int | None = None
    position: str = ""
    split: str = ""
    exact: bool = True
    """False for what a clock measured: running it again gives another number, and that is no contradiction."""


@dataclass(frozen=True)
class Figure:
    """A picture of an analysis: `name` without a suffix, SVG text, and what it shows in one sentence."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Analysis:
    """What an analysis returns: numbers for the results, figures for the page."""

    measurements: tuple[Measurement, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class LossTerm:
    """A term of the objective: added to the loss, a closed-form gradient added after backward, or a proximal step.

    Args:
        loss: (inputs, logits, targets) -> scalar tensor, differentiated with the loss.
        gradient: adds its gradient to the parameters' `.grad` in place, after backward, before masking.
        proximal: changes the parameters in place after the optimizer's step, given that step's learning rate; what is
            0 must stay 0.
    """

    loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    gradient: Callable[[], None] | None = None
    proximal: Callable[[float], None] | None = None


@dataclass(frozen=True)
class MaskUpdate:
    """A rule that changes the mask while training.

    Args:
        due: whether the rule acts after the backward pass of iteration `step`.
        update: (step, mask, gradients by parameter name, unmasked) -> the new mask.
    """

    due: Callable[[int], bool]
    update: Callable[[int, Mask, Mapping[str, Tensor]], Mask]


@dataclass(frozen=True)
class Optimum:
    """A trained point that a component asked for: its weights and the mask it was trained under."""

    weights: State
    mask: Mask | None
    round: int
    label: str = ""


Inputs = Mapping[str, Sequence[Optimum]]
"""What a component's `needs` asked for: trained points by the name it gave them, each read when it is looked at."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a run: what trackers see."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """What a run gave: what reports write from.

    Args:
        name: the benchmark's name.
        rows: the lines of results.jsonl.
        details: the lines of details.jsonl: curve and layers of each evaluated ticket, figures of each analysis.
        provenance: what provenance.json holds.
        artifact: the files of an artifact by its address, from the store of the run; None where results are read
            from a folder.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    details: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    artifact: Callable[[str], Mapping[str, bytes]] | None = None


@dataclass(frozen=True)
class Download:
    """A file that a publisher offers: mirrors in order, its checksum ("md5:..." / "sha256:..."), where it goes."""

    urls: tuple[str, ...]
    checksum: str
    path: Path
