"""A procedure is data: phases with keys, runs whose outputs are points, and the chain that schedules build on.

Nothing here trains, imports torch or draws a random number; equal configurations give equal plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.planning import START, Needs, PlannedTicket, Recipes, Ref, Request, Run, TrainedPoint
from prunebench.api.positions import Clock, Position
from prunebench.api.random import Streams
from prunebench.api.recipe import Recipe
from prunebench.benchmark.entries import Entry
from prunebench.components.catalogue import Catalogue
from prunebench.components.learning_rate import multiplier
from prunebench.components.managers import accepts, call_planning_hook
from prunebench.plan.context import TrialContext
from prunebench.plan.phases import Phases


class Chain:
    """Builds the phases of one entry on one model, data set and seed; what `prunebench_schedule` is given.

    Attributes:
        dense: the ticket of round 0: all units, the initial weights, the clock at 0.
        cut: the share of survivors that a round removes; None where the file gives densities alone.
        counts: units alive after each round; counts[0] is all of them.
    """

    def __init__(
        self,
        entry: Entry,
        setting: TrialContext,
        phases: Phases,
        counts: Sequence[int],
        other: Callable[[str], Chain],
        catalogue: Catalogue,
        draw: int = 0,
    ) -> None:
        self.entry, self.setting, self._draw = entry, setting, draw
        self._catalogue = catalogue
        self.cut = entry.cut
        self.counts = tuple(counts)
        self._phases, self._other = phases, other
        self._found: dict[int, TrainedPoint] = {}
        streams = Streams(setting.seed)
        init = setting.init_use
        spec: dict[str, Any] = {"model": setting.model_json}
        if setting.weights is not None:
            spec["weights"] = dict(setting.weights)
        else:
            spec |= {"init": None if init is None else init.to_json(), "streams": streams.to_json()}
        key = phases.add("init", spec, ())
        self.dense = PlannedTicket(0, Ref(key, "weights"), None, setting.model.units)

    @property
    def rounds(self) -> int:
        """How many rounds prune."""
        return len(self.counts) - 1

    @cached_property
    def tickets(self) -> tuple[PlannedTicket, ...]:
        """The unedited tickets of rounds 0 to the last, as the entry's schedule lays them out."""
        schedule = self.entry.schedule
        if schedule is None:
            return (self.dense,)
        recipes = Recipes(self.entry.find, self.entry.evaluate)
        tickets = tuple(call_planning_hook(schedule, "prunebench_schedule", chain=self, recipes=recipes))
        if len(tickets) != self.rounds + 1 or tickets[0] != self.dense:
            raise PlanError(
                f"schedule {schedule} gave {len(tickets)} tickets; {self.rounds + 1} were asked for, the first dense"
            )
        return tickets

    def ticket(self, round: int, mask: Ref, weights: Ref, start: Position = START, **more: Any) -> PlannedTicket:
        """The ticket of a round. `more` are fields of PlannedTicket: `over`, `optimizer`, `changes`, `count`."""
        return PlannedTicket(round, weights, mask, more.pop("count", self.counts[round]), start, **more)

    def use(self, table: Mapping[str, Any] | str, slot: str) -> BoundComponent:
        """Resolve a component that a schedule's configuration names, such as another optimizer.

        Raises:
            ConfigError: no such component, or a wrong configuration.
        """
        return self._catalogue.use(table, slot=slot, where=f"schedule.{slot}")

    def rates(self, recipe: Recipe) -> list[float]:
        """The learning-rate multipliers of a recipe at a thousand even steps of its clock, the last at the horizon."""
        clock = self.setting.clock(recipe)
        assert clock.horizon is not None
        uses = [self._catalogue.from_json(use.to_json(clock)) for use in recipe.lr]
        rate, horizon = multiplier(uses), clock.horizon
        places = sorted({horizon * i // 1000 for i in range(1001)})
        return [rate(place, horizon) for place in places]

    def train(self, ticket: PlannedTicket, recipe: Recipe, round: int, *, draw: int = 0, twin: int = 0) -> Run:
        """The run that trains a ticket under a recipe, drawing the streams of a round.

        Raises:
            PlanError: an empty window, or a start past the horizon.
        """
        finding = recipe is self.entry.find
        if ticket.changes:
            recipe = recipe.replace(**ticket.changes)
        clock = self.setting.clock(recipe)
        assert clock.horizon is not None
        task = self.setting.task_use
        if recipe.label_smoothing and not accepts(task.planner, "prunebench_task", "label_smoothing"):
            raise PlanError(f"label_smoothing: task {task} has none; leave it out")
        start = ticket.start.iterations(clock)
        stop = clock.horizon if recipe.stop is None else recipe.stop.iterations(clock)
        if ticket.over is not None:
            stop = start + ticket.over.iterations(clock)
        elif stop > clock.horizon:
            raise PlanError(f'stop "{recipe.stop}" is past the horizon "{recipe.horizon}"')
        if recipe.stretch is not None and recipe.mask_updates:
            raise PlanError(
                "a horizon that the mask stretches (`times`) needs a mask that stays, and mask_updates change it in "
                "the run; write the horizon as a position"
            )
        # A horizon of "0it" says in so many words that weights are judged as they are.
        if start >= stop and not start == clock.horizon == 0:
            raise PlanError(
                f'round {round}: nothing to train: it starts at "{ticket.start}" (iteration {start:,}) and stops at '
                f"iteration {stop:,}; let it start earlier or train longer"
            )
        optima = tuple(point for r, point in sorted(self._found.items()) if r < round)
        request = Request("train", round, ticket, optima, self, self._other)
        loss, loss_inputs = self._taking_part(recipe.loss, request, clock)
        updates, update_inputs = self._taking_part(recipe.mask_updates, request, clock)
        optimizer = ticket.optimizer if recipe.optimizer_state == "with-weights" else None
        if optimizer is not None:
            parent = self._phases.by_key[optimizer.key].spec
            if parent.get("shrunk"):
                raise PlanError(
                    'optimizer_state "with-weights": the weights come from a run of a smaller network (`shrunk`), '
                    'whose state does not fit; write optimizer_state = "fresh"'
                )
            before = parent["recipe"]["optimizer"]["use"]
            if before != recipe.optimizer.name:
                raise PlanError(
                    f'optimizer_state "with-weights": the weights come from a run with "{before}", whose state '
                    f'"{recipe.optimizer.name}" cannot use; write optimizer_state = "fresh"'
                )
        masked = ticket.mask is not None or bool(updates) or bool(loss)
        spec = {
            "data": self.setting.data_json,
            "task": self.setting.task_json,
            "model": self.setting.model_json,
            "units": self.setting.units_use.to_json() if masked else None,
            "recipe": {
                "batch": recipe.batch,
                "horizon": clock.horizon,
                "optimizer": recipe.optimizer.to_json(clock),
                "lr": [use.to_json(clock) for use in recipe.lr],
                "label_smoothing": recipe.label_smoothing,
                "max_gradient_norm": recipe.max_gradient_norm,
                "numerics": "float32",
            },
            "loss": loss,
            "mask_updates": updates,
            "count": ticket.count if updates else None,
            "weights": ticket.weights.to_json(),
            "mask": None if ticket.mask is None else ticket.mask.to_json(),
            "optimizer_state": None if optimizer is None else optimizer.to_json(),
            "start": start,
            "streams": Streams(self.setting.seed, round, draw, twin).to_json(),
        }
        if recipe.shrunk and ticket.mask is not None:
            if updates or loss or optimizer is not None:
                what = "mask_updates" if updates else "loss terms" if loss else 'optimizer_state "with-weights"'
                raise PlanError(f"shrunk: a network whose units are taken out cannot be trained with {what}")
            spec["shrunk"] = True
        if recipe.stretch is not None and ticket.mask is not None:
            # The clock's iterations stay nominal in the plan; the mask, once it exists, says how many steps they are.
            spec["stretch"] = {"times": recipe.stretch.times, "at_most": recipe.stretch.at_most}
        key = self._phases.add("train", spec, (ticket.weights, ticket.mask, optimizer, *loss_inputs, *update_inputs))
        run = Run(
            key, ticket, start, stop, clock, recipe.batch, round, bool(updates), "find" if finding else "evaluate"
        )
        if finding and twin == 0:
            self._found[round] = run.optimum
        return run

    def prune(
        self,
        source: Run | PlannedTicket,
        round: int,
        *,
        at: Position | None = None,
        count: int | None = None,
        at_once: bool = False,
    ) -> Ref:
        """The mask after pruning the end of a run (or a position of it), or a ticket before it is trained.

        Args:
            count: units to keep; those of the round unless stated.
            at_once: one cut makes the whole way to `count`, so the chain's cut says nothing about its layers.
        """
        entry, setting = self.entry, self.setting
        assert entry.score is not None
        assert entry.select is not None
        if isinstance(source, Run):
            weights, mask = (source.end if at is None else source.at(at)), source.end_mask
        else:
            weights, mask = source.weights, source.mask
        optima = tuple(point for r, point in sorted(self._found.items()) if r < round)
        request = Request("prune", round, None, optima, self, self._other)
        (score,), score_inputs = self._taking_part((entry.score,), request, None)
        (select,), select_inputs = self._taking_part((entry.select,), request, None)
        spec = {
            "data": setting.data_json,
            "task": setting.task_json,
            "model": setting.model_json,
            "units": setting.units_use.to_json(),
            "score": score,
            "select": select,
            "count": self.counts[round] if count is None else count,
            # Known to selections that cut each layer; the count alone defines a global one.
            "cut": self.cut if accepts(entry.select.planner, "prunebench_select", "cut") and not at_once else None,
            "round": round if accepts(entry.select.planner, "prunebench_select", "round") else None,
            "weights": weights.to_json(),
            "mask": None if mask is None else mask.to_json(),
            # Where neither draws, every draw of the chain is one and the same.
            "streams": Streams(setting.seed, round, self._draw if draws(entry) else 0).to_json(),
        }
        key = self._phases.add("prune", spec, (weights, mask, *score_inputs, *select_inputs))
        return Ref(key, "mask")

    def edited(self, ticket: PlannedTicket, edits: Sequence[BoundComponent], draw: int) -> PlannedTicket:
        """A ticket after the edits of an entry, each a phase of its own, in the order of the file."""
        for use in edits:
            request = Request("edit", ticket.round, ticket, (), self, self._other)
            described, inputs = self._taking_part((use,), request, None)
            if not described:
                continue
            spec = {
                "task": self.setting.task_json,
                "model": self.setting.model_json,
                "init": None if self.setting.init_use is None else self.setting.init_use.to_json(),
                "units": self.setting.units_use.to_json(),
                "edit": described[0],
                "weights": ticket.weights.to_json(),
                "mask": None if ticket.mask is None else ticket.mask.to_json(),
                "start": str(ticket.start),
                "streams": Streams(self.setting.seed, ticket.round, draw).to_json(),
            }
            key = self._phases.add("edit", spec, (ticket.weights, ticket.mask, *inputs))
            clock = next((n.clock for n in needs_of(use, request) if n.clock is not None), None)
            ticket = ticket.replace(
                weights=Ref(key, "weights"),
                mask=None if ticket.mask is None else Ref(key, "mask"),
                start=ticket.start if clock is None else clock,
                optimizer=None,
            )
        return ticket

    def analyse(self, use: BoundComponent, request: Request) -> list[Ref]:
        """The analyses that a component asks for, a phase for each of its Needs."""
        refs = []
        for needs in needs_of(use, request) or [Needs()]:
            if not needs.active:
                continue
            described, inputs = _with_inputs(use, needs, None)
            spec = {
                "data": self.setting.data_json,
                "task": self.setting.task_json,
                "model": self.setting.model_json,
                "units": self.setting.units_use.to_json(),
                "analysis": described,
                "streams": Streams(self.setting.seed).to_json(),
            }
            refs.append(Ref(self._phases.add("analyse", spec, inputs), "analysis"))
        return refs

    def _taking_part(
        self, uses: Sequence[BoundComponent], request: Request, clock: Clock | None
    ) -> tuple[list[dict[str, Any]], list[Ref]]:
        """The components that take part in a phase, with their inputs: what its key holds of them."""
        described: list[dict[str, Any]] = []
        parents: list[Ref] = []
        for use in uses:
            asked = needs_of(use, request)
            if len(asked) > 1:
                raise PlanError(f"component {use}: only an analysis may ask for several Needs")
            needs = asked[0] if asked else Needs()
            if needs.active:
                one, inputs = _with_inputs(use, needs, clock)
                described.append(one)
                parents += inputs
            elif request.phase == "prune":
                raise PlanError(f"component {use}: a score or a selection cannot stay out of a pruning")
        return described, parents


def needs_of(use: BoundComponent, request: Request) -> list[Needs]:
    """What a component asks for in a phase; empty if it asks for nothing."""
    answer = call_planning_hook(use, "prunebench_needs", request=request)
    if answer is None:
        return []
    return [answer] if isinstance(answer, Needs) else list(answer)


def _with_inputs(use: BoundComponent, needs: Needs, clock: Clock | None) -> tuple[dict[str, Any], list[Ref]]:
    parents: list[Ref] = []
    inputs: dict[str, list[dict[str, Any]]] = {}
    for name, points in needs.inputs.items():
        for point in points:
            label = point.label if isinstance(point, TrainedPoint) else ""
            inputs.setdefault(name, []).append(
                {
                    "weights": point.weights.to_json(),
                    "mask": None if point.mask is None else point.mask.to_json(),
                    "round": point.round,
                    "label": label,
                }
            )
            parents += [ref for ref in (point.weights, point.mask) if ref is not None]
        inputs.setdefault(name, [])
    return {**use.to_json(clock), "inputs": inputs}, parents


def draws(entry: Entry) -> bool:
    """Whether an entry's masks are drawn: its score or its selection uses a stream."""
    uses = ((entry.score, "prunebench_score"), (entry.select, "prunebench_select"))
    return any(use is not None and accepts(use.planner, hook, "rng") for use, hook in uses)
