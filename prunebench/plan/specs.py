"""What each kind of phase computes, as frozen values: all that its key holds, and from which its parents follow.

`prunebench.plan.json_values` writes and reads them: one JSON object, a field a key. A new field that most phases lack
has a default, and the keys of those phases do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import Count
from prunebench.api.planning import Ref, TrainedPoint
from prunebench.api.positions import Clock, Position
from prunebench.api.random import Streams
from prunebench.plan.json_values import object_text

Kind = Literal["init", "train", "prune", "edit", "analyse"]


ABSENT = {"absent": True}
"""Of a field: the JSON lacks it while it has its default."""


@dataclass(frozen=True)
class ComponentSpec:
    """A component: its name and version, and its full configuration as JSON, defaults included."""

    use: str
    version: int
    config: Mapping[str, Any]

    @classmethod
    def of(cls, component: BoundComponent, clock: Clock | None = None) -> ComponentSpec:
        """What a key holds of a component; positions in iterations where a clock is given."""
        return ComponentSpec(**component.to_json(clock))

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON, made once for all the phases that have the component."""
        return object_text(self)


@dataclass(frozen=True)
class DataSpec(ComponentSpec):
    """A data set: its component, and the digest of its source."""

    digest: str


@dataclass(frozen=True)
class ModelSpec(ComponentSpec):
    """A network: its component and, of the data, what shapes it."""

    shape: tuple[int, ...]
    """The shape of one input, as (channels, height, width) of an image."""
    classes: int


@dataclass(frozen=True)
class ParticipantSpec(ComponentSpec):
    """A component that takes part in a phase, with the states that it reads, by the names that it gave them."""

    inputs: Mapping[str, tuple[TrainedPoint, ...]]

    @property
    def canonical(self) -> str:
        """The canonical JSON; not kept where it has inputs, whose number grows with the rounds."""
        return object_text(self) if self.inputs else super().canonical


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file that the first weights are read from.

    Args:
        rows: the outputs of the file's classifier that tell the data's classes apart, in the order of these.
        by_order: whether its tensors are the network's in order, whatever they are called.
    """

    file: str
    digest: str
    rows: tuple[int, ...] | None = field(default=None, metadata=ABSENT)
    by_order: bool = field(default=False, metadata=ABSENT)


@dataclass(frozen=True)
class RecipeSpec:
    """How a run trains, in steps of its batch size: a recipe on the clock of one data set."""

    batch: int
    horizon: int
    optimizer: ComponentSpec
    lr: tuple[ComponentSpec, ...]
    label_smoothing: float
    max_gradient_norm: float | None
    numerics: Literal["float32", "tf32", "bf16"]
    memory_format: Literal["contiguous", "channels_last"]
    compile: bool
    transforms: tuple[ComponentSpec, ...] = field(default=(), metadata=ABSENT)
    accumulate: int = field(default=1, metadata=ABSENT)
    average: float | None = field(default=None, metadata=ABSENT)

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON, made once for all the runs that train by it."""
        return object_text(self)

    @cached_property
    def step(self) -> tuple[str, ...]:
        """What one of its steps computes, as far as that takes time: neither learning rates nor how many there are."""
        how = (self.batch, self.accumulate, self.numerics, self.memory_format, self.compile)
        return (self.optimizer.use, *[one.use for one in self.transforms], " ".join(map(str, how)))


@dataclass(frozen=True, slots=True)
class StretchSpec:
    """By what a mask stretches the clock of the run that trains under it, and how far at most."""

    times: Literal["macs-ratio"]
    at_most: float | None


@dataclass(frozen=True, slots=True)
class InitSpec:
    """The first weights of a trial, drawn from a stream: by an initialiser, or by the network's constructor alone.

    Args:
        weights: a file that all but the classifier's weights are read from after that.
    """

    kind: ClassVar[Kind] = "init"

    model: ModelSpec
    init: ComponentSpec | None
    streams: Streams
    weights: WeightFile | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """The first weights of a trial, read from a file: the same for every seed."""

    kind: ClassVar[Kind] = "init"

    model: ModelSpec
    weights: WeightFile


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """A training run, as a trajectory: not what it is for, where it is stopped, or what is asked of it.

    Args:
        units: where a mask, a loss term or a mask update needs them.
        count: units that mask updates must leave at the horizon.
        start: the iteration of its clock that it starts at.
        shrunk: whether pruned units are taken out, instead of held at zero.
    """

    kind: ClassVar[Kind] = "train"

    weights: Ref
    mask: Ref | None
    optimizer_state: Ref | None
    loss: tuple[ParticipantSpec, ...]
    mask_updates: tuple[ParticipantSpec, ...]
    data: DataSpec
    task: ComponentSpec
    model: ModelSpec
    units: ComponentSpec | None
    recipe: RecipeSpec
    count: int | None
    start: int
    streams: Streams
    shrunk: bool = field(default=False, metadata=ABSENT)
    stretch: StretchSpec | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True, slots=True)
class PruneSpec:
    """A pruning: scores and a selection of `count` units.

    Args:
        count: so many, or as many as leave a share of a cost: the number is found while pruning.
        cut, round: those of the chain, where the selection asks for them.
    """

    kind: ClassVar[Kind] = "prune"

    weights: Ref
    mask: Ref | None
    score: ParticipantSpec
    select: ParticipantSpec
    data: DataSpec
    task: ComponentSpec
    model: ModelSpec
    units: ComponentSpec
    count: Count
    cut: float | None
    round: int | None
    streams: Streams
    drawn_in: int | None = field(default=None, metadata=ABSENT)
    """The round whose stream the score draws from, where it is not its own."""


@dataclass(frozen=True, slots=True)
class JointPruneSpec:
    """A pruning that chooses `count` units and updates the weights together.

    Args:
        data, cut, round: where the component asks for them.
        updates: names or patterns of tensors that it may change beside those that the units touch.
    """

    kind: ClassVar[Kind] = "prune"

    weights: Ref
    mask: Ref | None
    prune: ParticipantSpec
    task: ComponentSpec
    model: ModelSpec
    units: ComponentSpec
    count: int
    streams: Streams
    data: DataSpec | None = field(default=None, metadata=ABSENT)
    cut: float | None = field(default=None, metadata=ABSENT)
    round: int | None = field(default=None, metadata=ABSENT)
    updates: tuple[str, ...] | None = field(default=None, metadata=ABSENT)
    drawn_in: int | None = field(default=None, metadata=ABSENT)
    """The round whose stream the score draws from, where it is not its own."""


@dataclass(frozen=True, slots=True)
class EditSpec:
    """One edit of a ticket.

    Args:
        data: where the edit asks for it.
    """

    kind: ClassVar[Kind] = "edit"

    weights: Ref
    mask: Ref | None
    edit: ParticipantSpec
    task: ComponentSpec
    model: ModelSpec
    init: ComponentSpec | None
    units: ComponentSpec
    start: Position
    streams: Streams
    data: DataSpec | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True, slots=True)
class AnalyseSpec:
    """One analysis."""

    kind: ClassVar[Kind] = "analyse"

    analysis: ParticipantSpec
    data: DataSpec
    task: ComponentSpec
    model: ModelSpec
    units: ComponentSpec
    streams: Streams


PhaseSpec = InitSpec | LoadSpec | TrainSpec | PruneSpec | JointPruneSpec | EditSpec | AnalyseSpec

_PHASE_SPECS = frozenset(get_args(PhaseSpec))


def drawn_from(spec: PruneSpec | JointPruneSpec) -> Streams:
    """The streams that what scores draws from: its round's, or those of a round that all share."""
    return spec.streams if spec.drawn_in is None else replace(spec.streams, round=spec.drawn_in)


def refs_of(value: Any) -> list[Ref]:
    """Every output that a value names, in the order of its fields: those of a phase's spec are its parents."""
    kind = type(value)
    if kind is Ref:
        return [value]
    if kind is TrainedPoint:
        return [value.weights] if value.mask is None else [value.weights, value.mask]
    if kind is ParticipantSpec:
        return [ref for points in value.inputs.values() for point in points for ref in refs_of(point)]
    if kind is tuple:
        return [ref for item in value for ref in refs_of(item)]
    if kind in _PHASE_SPECS:
        return [ref for name in value.__dataclass_fields__ for ref in refs_of(getattr(value, name))]
    return []
