"""A procedure is data: phases with keys, runs whose outputs are points, and the chain that schedules build on.

Nothing here trains, imports torch or draws a random number; equal configurations give equal plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from prunebench import keys
from prunebench.catalogue import Catalogue, Use, accepts, ask
from prunebench.config import Density, Entry, Measure, Recipe
from prunebench.errors import PlanError
from prunebench.rates import multiplier
from prunebench.streams import Streams
from prunebench.types import Clock, DataInfo, Layer, ModelInfo, Position

ENGINE_VERSION = 1
"""Raised when the training loop, pruning or measuring yields other numbers for the same phase."""

START = Position.parse("0it")

Part = Literal["weights", "mask", "optimizer", "curve", "analysis"]


@dataclass(frozen=True)
class Ref:
    """One output of a phase; of a training run, the output at an iteration of its clock."""

    key: str
    part: Part
    at: int | None = None
    detail: str = ""
    """What else names the output: the digest of how a curve is measured."""

    @cached_property
    def address(self) -> str:
        """Where the store keeps it."""
        return keys.digest({"key": self.key, "part": self.part, "at": self.at, "detail": self.detail})

    def to_json(self) -> dict[str, Any]:
        """For phase descriptions."""
        return {"key": self.key, "part": self.part, "at": self.at, "detail": self.detail}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ref:
        """Back from a phase description."""
        return cls(data["key"], data["part"], data["at"], data["detail"])


@dataclass(frozen=True, eq=False)
class Phase:
    """One of the five kinds of work: init, train, prune, edit, analyse."""

    key: str
    kind: Literal["init", "train", "prune", "edit", "analyse"]
    spec: Mapping[str, Any]
    parents: tuple[Ref, ...]


@dataclass(frozen=True)
class PlannedTicket:
    """A ticket that does not exist yet: where its mask and weights come from, and where it starts on the clock.

    Args:
        start: converted with the batch size of the run that it starts.
        over: how long to train from there; to the horizon if None. What lies past the horizon keeps its last rate.
        changes: fields of the recipe that this retraining replaces (`optimizer`, `lr`, ...).
    """

    round: int
    weights: Ref
    mask: Ref | None
    count: int
    start: Position = START
    over: Position | None = None
    optimizer: Ref | None = None
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def replace(self, **changes: Any) -> PlannedTicket:
        """This ticket with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class TrainedPoint:
    """A state of a run, with the mask it was trained under: what a component may ask for as an input."""

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
    round: int
    dynamic: bool
    """Whether components change the mask while it trains; then each state has a mask of its own."""
    recipe: Literal["find", "evaluate"] = "evaluate"
    """Whose recipe it is trained under."""

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
                f"{self.start:,} to {self.stop:,}; state one inside of it, or another `{self.recipe}.stop` or "
                f"`{self.recipe}.horizon`"
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


@dataclass(frozen=True, eq=False)
class Request:
    """What a component is told when it is asked for its needs."""

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


@dataclass(frozen=True, eq=False)
class Trial:
    """One entry on one model, data set and seed, with what is read off it."""

    entry: str
    model: str
    data: str
    seed: int
    units: int
    parameters: int
    layers: tuple[Layer, ...]
    evaluations: tuple[Evaluation, ...]
    analyses: tuple[tuple[str, Ref], ...]
    finds: frozenset[str]
    """Keys of the training runs that lead to its tickets."""
    note: str = ""


class Phases:
    """The phases of a plan by key; equal phases meet here."""

    def __init__(self) -> None:
        self.by_key: dict[str, Phase] = {}

    def add(self, kind: Any, spec: Mapping[str, Any], parents: Sequence[Ref | None]) -> str:
        """Register a phase; returns its key."""
        key = keys.digest({"phase": kind, "engine": ENGINE_VERSION, **spec})
        if key not in self.by_key:
            self.by_key[key] = Phase(key, kind, spec, tuple(p for p in parents if p is not None))
        return key


@dataclass(frozen=True, eq=False)
class Setting:
    """What all phases of a trial have in common."""

    data_use: Use
    data: DataInfo
    model_use: Use
    init_use: Use | None
    model: ModelInfo
    units_use: Use
    seed: int
    weights: Mapping[str, str] | None = None
    """The file that the first weights are read from, and its digest."""

    @cached_property
    def data_json(self) -> dict[str, Any]:
        """The data's identity: component and digest of the source."""
        return {**self.data_use.to_json(), "digest": self.data.digest}

    @cached_property
    def model_json(self) -> dict[str, Any]:
        """The model's identity; of the data, only what shapes it."""
        return {**self.model_use.to_json(), "shape": list(self.data.shape), "classes": self.data.classes}

    def clock(self, recipe: Recipe) -> Clock:
        """The clock of a run under a recipe: incomplete batches are dropped."""
        train = self.data.sizes["train"]
        if recipe.batch > train:
            raise PlanError(f"batch {recipe.batch:,} is larger than the {train:,} training images of {self.data.name}")
        steps = train // recipe.batch
        return Clock(steps, recipe.horizon.iterations(Clock(steps)))


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
        setting: Setting,
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
        tickets = tuple(ask(schedule, "prunebench_schedule", chain=self, recipes=recipes))
        if len(tickets) != self.rounds + 1 or tickets[0] != self.dense:
            raise PlanError(
                f"schedule {schedule} gave {len(tickets)} tickets; {self.rounds + 1} were asked for, the first dense"
            )
        return tickets

    def ticket(self, round: int, mask: Ref, weights: Ref, start: Position = START, **more: Any) -> PlannedTicket:
        """The ticket of a round. `more` are fields of PlannedTicket: `over`, `optimizer`, `changes`, `count`."""
        return PlannedTicket(round, weights, mask, more.pop("count", self.counts[round]), start, **more)

    def use(self, table: Mapping[str, Any] | str, slot: str) -> Use:
        """Resolve a component that a schedule's configuration names, such as another optimizer.

        Raises:
            ConfigError: no such component, or a wrong configuration.
        """
        return self._catalogue.use(table, slot=slot, where=f"schedule.{slot}")

    def rates(self, recipe: Recipe) -> list[float]:
        """The learning-rate multipliers of a recipe at a thousand even steps of its clock, the last at the horizon."""
        clock = self.setting.clock(recipe)
        assert clock.horizon is not None
        uses = [self._catalogue.revive(use.to_json(clock)) for use in recipe.lr]
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
        self, source: Run | PlannedTicket, round: int, *, at: Position | None = None, count: int | None = None
    ) -> Ref:
        """The mask after pruning the end of a run (or a position of it), or a ticket before it is trained.

        Args:
            count: units to keep; those of the round unless stated.
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
            "model": setting.model_json,
            "units": setting.units_use.to_json(),
            "score": score,
            "select": select,
            "count": self.counts[round] if count is None else count,
            # Known to selections that cut each layer; the count alone defines a global one.
            "cut": self.cut if accepts(entry.select.planner, "prunebench_select", "cut") else None,
            "round": round if accepts(entry.select.planner, "prunebench_select", "round") else None,
            "weights": weights.to_json(),
            "mask": None if mask is None else mask.to_json(),
            # Where neither draws, every draw of the chain is one and the same.
            "streams": Streams(setting.seed, round, self._draw if draws(entry) else 0).to_json(),
        }
        key = self._phases.add("prune", spec, (weights, mask, *score_inputs, *select_inputs))
        return Ref(key, "mask")

    def edited(self, ticket: PlannedTicket, edits: Sequence[Use], draw: int) -> PlannedTicket:
        """A ticket after the edits of an entry, each a phase of its own, in the order of the file."""
        for use in edits:
            request = Request("edit", ticket.round, ticket, (), self, self._other)
            described, inputs = self._taking_part((use,), request, None)
            if not described:
                continue
            spec = {
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

    def analyse(self, use: Use, request: Request) -> list[Ref]:
        """The analyses that a component asks for, a phase for each of its Needs."""
        refs = []
        for needs in needs_of(use, request) or [Needs()]:
            if not needs.active:
                continue
            described, inputs = _with_inputs(use, needs, None)
            spec = {
                "data": self.setting.data_json,
                "model": self.setting.model_json,
                "units": self.setting.units_use.to_json(),
                "analysis": described,
                "streams": Streams(self.setting.seed).to_json(),
            }
            refs.append(Ref(self._phases.add("analyse", spec, inputs), "analysis"))
        return refs

    def _taking_part(
        self, uses: Sequence[Use], request: Request, clock: Clock | None
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


def needs_of(use: Use, request: Request) -> list[Needs]:
    """What a component asks for in a phase; empty if it asks for nothing."""
    answer = ask(use, "prunebench_needs", request=request)
    if answer is None:
        return []
    return [answer] if isinstance(answer, Needs) else list(answer)


def _with_inputs(use: Use, needs: Needs, clock: Clock | None) -> tuple[dict[str, Any], list[Ref]]:
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


def curve_spec(measure: Measure, run: Run) -> dict[str, Any]:
    """How a curve is measured, in the iterations of its run."""
    points = set()
    for position in measure.at:
        iteration = position.iterations(run.clock)
        if not run.start <= iteration <= run.stop:
            raise PlanError(f'measure.at: "{position}" (iteration {iteration:,}) is outside of the run')
        points.add(iteration)
    return {
        "every": None if measure.every is None else max(1, measure.every.iterations(run.clock)),
        "at": sorted(points),
        "splits": sorted(measure.splits),
        "train_sample": measure.train_sample if "train" in measure.splits else None,
    }


def global_count(cut: float, round: int, units: int) -> int:
    """Units alive after a round of a global cut: round((1 - cut) ** round * units)."""
    return count_at((1.0 - cut) ** round, units)


def count_at(density: float, units: int) -> int:
    """Units alive at a density: round(density * units), a half to the even count."""
    return round(density * units)


@dataclass(frozen=True)
class LeftOut:
    """An entry that has no plan on one model and data set, though the file is right; and why."""

    entry: str
    model: str
    data: str
    seeds: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Plan:
    """Everything that a benchmark asks for: phases by key, the outputs wanted of each, and the trials."""

    phases: Mapping[str, Phase]
    trials: tuple[Trial, ...]
    curves: Mapping[str, Mapping[str, Any]]
    """How each curve is measured, by the digest in its Ref."""
    wanted: Mapping[str, frozenset[Ref]]
    """For each phase that the results rest on, the outputs that they read."""
    naive_runs: int
    left_out: tuple[LeftOut, ...] = ()
    also: tuple[Ref, ...] = ()
    """Outputs that are wanted beside what the results are read off."""

    @property
    def sinks(self) -> Iterator[Ref]:
        """What the results are read off, and what else is wanted."""
        yield from self.also
        for trial in self.trials:
            for evaluation in trial.evaluations:
                yield evaluation.curve
                if evaluation.mask is not None:
                    yield evaluation.mask
            for _, ref in trial.analyses:
                yield ref

    @property
    def runs(self) -> list[Phase]:
        """The distinct training runs."""
        return [self.phases[key] for key in self.wanted if self.phases[key].kind == "train"]


def matched(densities: Sequence[Density], counts: Sequence[int]) -> list[int]:
    """The rounds that densities name, to the precision that they are printed with.

    Raises:
        PlanError: a density that no round has, with the nearest ones.
    """
    units = counts[0]
    reached = [count / units for count in counts]
    rounds = []
    for density in densities:
        fits = [r for r, d in enumerate(reached) if round(d, density.decimals) == density.value]
        if not fits:
            near = sorted(range(len(reached)), key=lambda r: abs(reached[r] - density.value))[:2]
            shown = " and ".join(f"{reached[r]:.{density.decimals}f} (round {r})" for r in sorted(near))
            raise PlanError(f"no round has density {density}; the nearest are {shown}")
        rounds.append(min(fits, key=lambda r: abs(reached[r] - density.value)))
    return sorted(set(rounds))
