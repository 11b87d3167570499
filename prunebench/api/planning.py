"""What schedules and other components plan with: outputs, tickets, runs, needs. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from prunebench.api import keys
from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import Count
from prunebench.api.errors import PlanError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.positions import Clock, Position
from prunebench.api.recipe import Recipe

START = Position.parse("0it")

Part = Literal["weights", "mask", "optimizer", "curve", "analysis"]


class _Addressed:
    """Keeps an address once it is made out. A large plan has 10^6 outputs, so they are small, without a dict."""

    __slots__ = ("_address",)
    _address: str


@dataclass(frozen=True, slots=True)
class Ref(_Addressed):
    """One output of a phase; of a training run, the output at an iteration of its clock."""

    key: str
    part: Part
    at: int | None = None
    detail: str = ""
    """What else names the output: the digest of how a curve is measured."""

    @property
    def address(self) -> str:
        """Where the store keeps it."""
        try:
            return self._address
        except AttributeError:
            made = keys.digest({"key": self.key, "part": self.part, "at": self.at, "detail": self.detail})
            object.__setattr__(self, "_address", made)
            return made

    def to_json(self) -> dict[str, Any]:
        """For phase descriptions."""
        return {"key": self.key, "part": self.part, "at": self.at, "detail": self.detail}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ref:
        """Back from a phase description."""
        return cls(data["key"], data["part"], data["at"], data["detail"])


@dataclass(frozen=True)
class PlannedTicket:
    """A ticket that does not exist yet: where its mask and weights come from, and where it starts on the clock.

    Args:
        count: units that live; a share of a cost where only its pruning counts them.
        start: converted with the batch size of the run that it starts.
        over: how long to train from there; to the horizon if None. What lies past the horizon keeps its last rate.
        changes: fields of the recipe that this retraining replaces (`optimizer`, `lr`, ...).
    """

    round: int
    weights: Ref
    mask: Ref | None
    count: Count
    start: Position = START
    over: Position | None = None
    optimizer: Ref | None = None
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def replace(self, **changes: Any) -> PlannedTicket:
        """This ticket with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class PlannedPruning:
    """What a pruning will leave.

    Args:
        weights: those that it updates together with the mask; where it updates none, the weights that it prunes.
    """

    mask: Ref
    weights: Ref


@dataclass(frozen=True)
class TrainedPoint:
    """A state of a run, with the mask it was trained under: what a component may ask for as an input.

    Args:
        round: that of the ticket which the run trains; 0 for the dense network.
    """

    weights: Ref
    mask: Ref | None
    round: int
    label: str = ""


@dataclass(frozen=True, eq=False)
class Run:
    """A training run as a trajectory on its clock. Its key knows nothing of `stop` or of what is asked of it."""

    key: str
    ticket: PlannedTicket
    start: int
    stop: int
    clock: Clock
    batch: int
    dynamic: bool
    """Whether components change the mask while it trains; then each state has a mask of its own."""
    purpose: Literal["find", "evaluate"] = "evaluate"
    """Whether it is one of the runs that lead to tickets; how errors call its recipe."""

    @property
    def round(self) -> int:
        """That of the ticket which it trains."""
        return self.ticket.round

    def at(self, position: Position | str) -> Ref:
        """The weights at a position.

        Raises:
            PlanError: outside of the run's window.
        """
        return self._weights(self._inside(Position.parse(position)))

    def optimizer_at(self, position: Position | str) -> Ref | None:
        """The optimizer's state at a position; None where the run starts, for there it is fresh."""
        iteration = self._inside(Position.parse(position))
        return None if iteration == self.start else Ref(self.key, "optimizer", iteration)

    def _inside(self, place: Position) -> int:
        iteration = place.iterations(self.clock)
        if not self.start <= iteration <= self.stop:
            raise PlanError(
                f'position "{place}" (iteration {iteration:,}) is outside of the run, which goes from iteration '
                f"{self.start:,} to {self.stop:,}; state one inside of it, or another `{self.purpose}.stop` or "
                f"`{self.purpose}.horizon`"
            )
        return iteration

    def _weights(self, iteration: int) -> Ref:
        return self.ticket.weights if iteration == self.start else Ref(self.key, "weights", iteration)

    @property
    def end(self) -> Ref:
        """The weights where the run stops."""
        return self._weights(self.stop)

    @property
    def end_optimizer(self) -> Ref:
        """The optimizer's state where the run stops."""
        return Ref(self.key, "optimizer", self.stop)

    @property
    def end_mask(self) -> Ref | None:
        """The mask where the run stops."""
        if self.dynamic:
            return Ref(self.key, "mask", self.stop)
        return self.ticket.mask

    @property
    def optimum(self) -> TrainedPoint:
        """The end of the run as an input for components."""
        return TrainedPoint(self.end, self.end_mask, self.round)


@dataclass(frozen=True)
class Needs:
    """What a component reads beyond a phase's parents; see the hook `prunebench_needs`."""

    inputs: Mapping[str, Sequence[TrainedPoint | PlannedTicket]] = field(default_factory=dict)
    active: bool = True
    clock: Position | None = None
    """For ticket edits: where the edited ticket starts, if not where it did."""
    updates: tuple[str, ...] = ()
    """For `prunebench_prune`: names (or patterns, such as "*.bias") of tensors that it may change beside those that
    the units touch."""


class Chain(Protocol):
    """Builds the phases of one entry on one model, data set and seed; what `prunebench_schedule` is given."""

    @property
    def dense(self) -> PlannedTicket:
        """The ticket of round 0: all units, the initial weights, the clock at 0."""
        ...

    @property
    def cut(self) -> float | None:
        """The share of survivors that a round removes; None where the file gives densities alone."""
        ...

    @property
    def counts(self) -> tuple[Count, ...]:
        """Units alive after each round, all of them in counts[0].

        A `CostShare` where the file asks for a share of a cost: the pruning finds the number. Hand it on.
        """
        ...

    @property
    def rounds(self) -> int:
        """How many rounds prune."""
        ...

    @property
    def prunes(self) -> bool:
        """Whether the entry has a schedule; one without trains the dense network alone."""
        ...

    @property
    def recipes(self) -> Recipes:
        """How the runs train that find tickets, and those that judge them."""
        ...

    @property
    def data(self) -> DataInfo:
        """Sizes and shapes of the data."""
        ...

    @property
    def model(self) -> ModelInfo:
        """Layers and sizes of the network, as its units divide it."""
        ...

    @property
    def units(self) -> BoundComponent:
        """The component that says what is pruned as one."""
        ...

    @property
    def tickets(self) -> tuple[PlannedTicket, ...]:
        """The unedited tickets of rounds 0 to the last, as the entry's schedule lays them out."""
        ...

    def ticket(
        self,
        round: int,
        mask: Ref,
        weights: Ref,
        start: Position = START,
        *,
        count: Count | None = None,
        over: Position | None = None,
        optimizer: Ref | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> PlannedTicket:
        """The ticket of a round; see PlannedTicket. `count` is that of the round unless stated."""
        ...

    def use(self, table: Mapping[str, Any] | str, slot: str) -> BoundComponent:
        """Resolve a component that a schedule's configuration names, such as another optimizer.

        Raises:
            ConfigError: no such component, or a wrong configuration.
        """
        ...

    def rates(self, recipe: Recipe) -> list[float]:
        """The learning-rate multipliers of a recipe at a thousand even steps of its clock, the last at the horizon."""
        ...

    def find(self, ticket: PlannedTicket, round: int, recipe: Recipe | None = None, *, twin: int = 0) -> Run:
        """A run on the way to the tickets. Its end is an earlier optimum for the runs and prunings of later rounds.

        Args:
            round: the find round, whose streams it draws: that of the ticket which is found with it.
            recipe: the find recipe unless stated, or one that was made of it with `replace`.
            twin: another number draws other streams; the end of a twin is no optimum for others.
        Raises:
            PlanError: an empty window, a start past the horizon, or a round that is not after the ticket's.
        """
        ...

    def evaluate(self, ticket: PlannedTicket, recipe: Recipe | None = None, *, draw: int = 0, twin: int = 0) -> Run:
        """A run that judges a ticket, or another one that no ticket comes from.

        It draws the streams of the find round that would train the ticket, so that the two are one run where their
        recipes are equal.

        Args:
            recipe: the evaluation recipe unless stated.
        Raises:
            PlanError: an empty window, or a start past the horizon.
        """
        ...

    def prune(
        self,
        source: Run | PlannedTicket,
        round: int,
        *,
        at: Position | None = None,
        count: Count | None = None,
        at_once: bool = False,
    ) -> PlannedPruning:
        """What pruning leaves of the end of a run (or of a position of it), or of a ticket before it is trained.

        Args:
            count: units to keep; those of the round unless stated.
            at_once: one cut makes the whole way to `count`, so the chain's cut says nothing about its layers.
        """
        ...

    def edited(self, ticket: PlannedTicket, edits: Sequence[BoundComponent], draw: int) -> PlannedTicket:
        """A ticket after edits, each a phase of its own, in their order."""
        ...


@dataclass(frozen=True, eq=False)
class Request:
    """What a component is told when it is asked for its needs.

    Args:
        round: that of the ticket which is trained, edited, or found by the pruning; for analyses the last.
    """

    phase: Literal["train", "prune", "edit", "analyse"]
    round: int
    ticket: PlannedTicket | None
    optima: tuple[TrainedPoint, ...]
    """The ends of the find runs of earlier rounds, first round first."""
    chain: Chain
    other: Callable[[str], Chain]
    """The chain of another entry, on the same model, data and seed."""
    tickets: tuple[PlannedTicket, ...] = ()
    """For analyses: the entry's tickets of rounds 0 to the last, edited as they are judged (draw 0)."""
    evaluations: tuple[Evaluation, ...] = ()
    """For analyses: the runs in which they are judged."""
    evaluate: Callable[[PlannedTicket, int], Run] | None = None
    """For analyses: another run of a ticket under the evaluation recipe, with the streams of a twin."""


@dataclass(frozen=True)
class Recipes:
    """The two recipes of an entry."""

    find: Recipe
    evaluate: Recipe


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The run that judges one ticket, and the curve that is read off it."""

    round: int
    draw: int
    run: Run
    curve: Ref
    mask: Ref | None
