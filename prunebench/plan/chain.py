"""A procedure is data: phases with keys, runs whose outputs are points, and the chain that schedules build on.

Nothing here trains, imports torch or draws a random number; equal configurations give equal plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import CostShare, Count
from prunebench.api.errors import PlanError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.planning import (
    START,
    Needs,
    PlannedPruning,
    PlannedTicket,
    Recipes,
    Ref,
    Request,
    Run,
    TrainedPoint,
)
from prunebench.api.positions import Position
from prunebench.api.random import Streams
from prunebench.api.recipe import Recipe
from prunebench.benchmark.entries import Entry
from prunebench.components.catalogue import Catalogue
from prunebench.components.learning_rate import multiplier
from prunebench.components.managers import accepts, call_planning_hook, several
from prunebench.plan.context import TrialContext
from prunebench.plan.participants import Participants, needs_of
from prunebench.plan.phases import Phases
from prunebench.plan.runs import Runs, window
from prunebench.plan.specs import AnalyseSpec, EditSpec, InitSpec, JointPruneSpec, LoadSpec, PruneSpec


class Chain:
    """The chain that `prunebench.api.planning.Chain` describes.

    Args:
        counts: units alive after each round.
        other: the chain of another entry, on the same model, data and seed.
        draw: of an entry whose masks are drawn, which draw of them.
    """

    def __init__(
        self,
        entry: Entry,
        context: TrialContext,
        phases: Phases,
        counts: Sequence[Count],
        other: Callable[[str], Chain],
        catalogue: Catalogue,
        participants: Participants,
        draw: int = 0,
    ) -> None:
        self.entry, self.context, self.phases = entry, context, phases
        self.cut, self.counts = entry.cut, tuple(counts)
        self.recipes = Recipes(entry.find, entry.evaluate)
        self._draw, self._other, self._catalogue, self._participants = draw, other, catalogue, participants
        self._runs = Runs(context, participants, phases)
        self._optima: dict[int, TrainedPoint] = {}
        key = phases.add(
            InitSpec(context.model_spec, context.init_spec, Streams(context.seed), context.weights)
            if context.weights is None or context.fresh_head
            else LoadSpec(context.model_spec, context.weights)
        )
        self.dense = PlannedTicket(0, Ref(key, "weights"), None, context.model.units)

    @property
    def rounds(self) -> int:
        """How many rounds prune."""
        return len(self.counts) - 1

    @property
    def prunes(self) -> bool:
        """Whether the entry has a schedule."""
        return self.entry.schedule is not None

    @property
    def data(self) -> DataInfo:
        """Sizes and shapes of the data."""
        return self.context.data

    @property
    def model(self) -> ModelInfo:
        """Layers and sizes of the network."""
        return self.context.model

    @property
    def units(self) -> BoundComponent:
        """The component that says what is pruned as one."""
        return self.context.units

    @property
    def optima(self) -> tuple[TrainedPoint, ...]:
        """The ends of the find runs that were planned, first round first."""
        return tuple(point for _, point in sorted(self._optima.items()))

    @cached_property
    def tickets(self) -> tuple[PlannedTicket, ...]:
        """The unedited tickets of rounds 0 to the last, as the entry's schedule lays them out."""
        schedule = self.entry.schedule
        if schedule is None:
            return (self.dense,)
        answer = call_planning_hook(schedule, "prunebench_schedule", chain=self, recipes=self.recipes)
        tickets = tuple(several(schedule, "prunebench_schedule", answer, PlannedTicket))
        if len(tickets) != self.rounds + 1 or tickets[0] != self.dense:
            raise PlanError(
                f"schedule {schedule} gave {len(tickets)} tickets; {self.rounds + 1} were asked for, the first dense"
            )
        for round, ticket in enumerate(tickets):
            if ticket.round != round:
                raise PlanError(f"schedule {schedule}: the ticket of round {round} says that it is of {ticket.round}")
            pruned = None if ticket.mask is None else self._cut_to(ticket.mask)
            if pruned is not None and pruned != ticket.count:
                raise PlanError(
                    f"schedule {schedule}: the ticket of round {round} has {_text(ticket.count)}, and its mask is that "
                    f"of a pruning to {_text(pruned)}; hand on the mask of chain.prune(run, {round})"
                )
            if round and ticket.mask is None and not self.recipes.evaluate.mask_updates:
                raise PlanError(
                    f"schedule {schedule}: the ticket of round {round} has no mask; hand on that of chain.prune(run, "
                    f"{round})"
                )
        return tickets

    def _cut_to(self, mask: Ref) -> Count | None:
        """What a pruning was to leave; None for the mask of a run, which changes while it trains."""
        spec = self.phases.by_key[mask.key].spec
        return spec.count if isinstance(spec, PruneSpec | JointPruneSpec) else None

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
        """The ticket of a round."""
        count = self.counts[round] if count is None else count
        return PlannedTicket(round, weights, mask, count, start, over, optimizer, changes or {})

    def use(self, table: Mapping[str, Any] | str, slot: str) -> BoundComponent:
        """Resolve a component that a schedule's configuration names."""
        return self._catalogue.use(table, slot=slot, where=f"schedule.{slot}")

    def rates(self, recipe: Recipe) -> list[float]:
        """The learning-rate multipliers of a recipe at a thousand even steps of its clock, the last at the horizon."""
        clock = self.context.clock(recipe)
        assert clock.horizon is not None
        components = [self._catalogue.from_json(use.to_json(clock)) for use in recipe.lr]
        rate, horizon = multiplier(components), clock.horizon
        places = sorted({horizon * i // 1000 for i in range(1001)})
        return [rate(place, horizon) for place in places]

    def find(self, ticket: PlannedTicket, round: int, recipe: Recipe | None = None, *, twin: int = 0) -> Run:
        """A run on the way to the tickets; its end is an optimum for later rounds."""
        if round <= ticket.round:
            raise PlanError(
                f"find: the ticket of round {ticket.round} cannot lead to one of round {round}; give the round that is "
                f"found with it, such as chain.find(ticket, {ticket.round + 1})"
            )
        run = self._run(ticket, recipe or self.recipes.find, "find", Streams(self.context.seed, round, 0, twin))
        if twin == 0:
            self._optima[round] = run.optimum
        return run

    def evaluate(self, ticket: PlannedTicket, recipe: Recipe | None = None, *, draw: int = 0, twin: int = 0) -> Run:
        """A run that judges a ticket, or another one that no ticket comes from."""
        streams = Streams(self.context.seed, ticket.round + 1, draw, twin)
        return self._run(ticket, recipe or self.recipes.evaluate, "evaluate", streams)

    def _run(
        self, ticket: PlannedTicket, recipe: Recipe, purpose: Literal["find", "evaluate"], streams: Streams
    ) -> Run:
        if ticket.changes:
            recipe = recipe.replace(**ticket.changes)
        clock = self.context.clock(recipe)
        start, stop = window(ticket, recipe, clock)
        request = Request("train", ticket.round, ticket, self._optima_before(streams.round), self, self._other)
        spec = self._runs.spec(ticket, recipe, clock, start, streams, request)
        dynamic = bool(spec.mask_updates)
        return Run(self.phases.add(spec), ticket, start, stop, clock, recipe.batch, dynamic, purpose)

    def _optima_before(self, round: int) -> tuple[TrainedPoint, ...]:
        """The ends of the find runs of earlier find rounds."""
        return tuple(point for r, point in sorted(self._optima.items()) if r < round)

    def prune(
        self,
        source: Run | PlannedTicket,
        round: int,
        *,
        at: Position | None = None,
        count: Count | None = None,
        at_once: bool = False,
    ) -> PlannedPruning:
        """What pruning leaves of a state of a run, or of a ticket before it is trained."""
        if isinstance(source, Run):
            weights, mask = (source.end if at is None else source.at(at)), source.end_mask
        else:
            weights, mask = source.weights, source.mask
        count = self.counts[round] if count is None else count
        # A cut is of units; one of a cost says nothing about layers.
        cut = None if at_once or isinstance(count, CostShare) else self.cut
        request = Request("prune", round, None, self._optima_before(round), self, self._other)
        if self.entry.prune is not None:
            if isinstance(count, CostShare):
                raise PlanError(
                    f"prune {self.entry.prune}: it changes the weights with the mask, so it cannot try how many units "
                    f'leave {count}; use a score and a select, or `density_of = "units"`'
                )
            key = self.phases.add(self._joint_pruning(self.entry.prune, weights, mask, round, count, cut, request))
            return PlannedPruning(Ref(key, "mask"), Ref(key, "weights"))
        key = self.phases.add(self._pruning(weights, mask, round, count, cut, request))
        return PlannedPruning(Ref(key, "mask"), weights)

    def _pruning(
        self, weights: Ref, mask: Ref | None, round: int, count: Count, cut: float | None, request: Request
    ) -> PruneSpec:
        entry, context = self.entry, self.context
        if entry.score is None or entry.select is None:
            raise PlanError(
                f"score and select: missing; the schedule {entry.schedule} prunes, so it needs a score and a select, "
                'or a prune; mask updates alone prune with schedule = "during-training"'
            )
        score, select = self._participants.taking_part((entry.score, entry.select), request)
        return PruneSpec(
            weights=weights,
            mask=mask,
            score=score,
            select=select,
            data=context.data_spec,
            task=context.task_spec,
            model=context.model_spec,
            units=context.units_spec,
            count=count,
            # Known to selections that cut each layer; the count alone defines a global one.
            cut=cut if accepts(entry.select.planner, "prunebench_select", "cut") else None,
            round=round if accepts(entry.select.planner, "prunebench_select", "round") else None,
            streams=self._pruning_streams(round),
            drawn_in=self._drawn_in(round),
        )

    def _joint_pruning(
        self,
        component: BoundComponent,
        weights: Ref,
        mask: Ref | None,
        round: int,
        count: int,
        cut: float | None,
        request: Request,
    ) -> JointPruneSpec:
        def asks(argument: str) -> bool:
            return accepts(component.planner, "prunebench_prune", argument)

        context = self.context
        (participant,) = self._participants.taking_part((component,), request)
        return JointPruneSpec(
            weights=weights,
            mask=mask,
            prune=participant,
            task=context.task_spec,
            model=context.model_spec,
            units=context.units_spec,
            count=count,
            streams=self._pruning_streams(round),
            drawn_in=self._drawn_in(round),
            data=context.data_spec if asks("data") else None,
            cut=cut if asks("cut") else None,
            round=round if asks("round") else None,
            updates=next((n.updates for n in needs_of(component, request) if n.updates), None),
        )

    def _drawn_in(self, round: int) -> int | None:
        """The round whose stream a score draws from; None for its own. The first one's where all share it."""
        return 1 if self.entry.draw_once and draws(self.entry) and round != 1 else None

    def _pruning_streams(self, round: int) -> Streams:
        # Where nothing draws, every draw of the chain is one and the same.
        return Streams(self.context.seed, round, self._draw if draws(self.entry) else 0)

    def edited(self, ticket: PlannedTicket, edits: Sequence[BoundComponent], draw: int) -> PlannedTicket:
        """A ticket after the edits of an entry, each a phase of its own, in the order of the file."""
        for edit in edits:
            request = Request("edit", ticket.round, ticket, (), self, self._other)
            for participant in self._participants.taking_part((edit,), request):
                spec = EditSpec(
                    weights=ticket.weights,
                    mask=ticket.mask,
                    edit=participant,
                    task=self.context.task_spec,
                    model=self.context.model_spec,
                    init=self.context.init_spec,
                    units=self.context.units_spec,
                    start=ticket.start,
                    streams=Streams(self.context.seed, ticket.round, draw),
                    data=self.context.data_spec if accepts(edit.planner, "prunebench_ticket", "data") else None,
                )
                key = self.phases.add(spec)
                clock = next((n.clock for n in needs_of(edit, request) if n.clock is not None), None)
                ticket = ticket.replace(
                    weights=Ref(key, "weights"),
                    mask=None if ticket.mask is None else Ref(key, "mask"),
                    start=ticket.start if clock is None else clock,
                    optimizer=None,
                )
        return ticket

    def analyse(self, component: BoundComponent, request: Request) -> list[Ref]:
        """The analyses that a component asks for, a phase for each of its Needs."""
        context = self.context
        refs = []
        for needs in needs_of(component, request) or [Needs()]:
            if needs.active:
                spec = AnalyseSpec(
                    analysis=self._participants.of(component, needs),
                    data=context.data_spec,
                    task=context.task_spec,
                    model=context.model_spec,
                    units=context.units_spec,
                    streams=Streams(context.seed),
                )
                refs.append(Ref(self.phases.add(spec), "analysis"))
        return refs


def _text(count: Count) -> str:
    return str(count) if isinstance(count, CostShare) else f"{count:,} units"


def draws(entry: Entry) -> bool:
    """Whether an entry's masks are drawn: what prunes uses a stream."""
    uses = (
        (entry.score, "prunebench_score"),
        (entry.select, "prunebench_select"),
        (entry.prune, "prunebench_prune"),
    )
    return any(use is not None and accepts(use.planner, hook, "rng") for use, hook in uses)
