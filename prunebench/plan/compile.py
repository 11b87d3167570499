"""A benchmark -> a plan: the trials, their chains and evaluations, and the outputs that the results rest on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from prunebench.api import keys
from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import COSTS, Cost, CostShare, Count
from prunebench.api.errors import CannotTakePart, ConfigError, DataMissing, PlanError, PrunebenchError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.planning import Evaluation, PlannedTicket, Ref, Request, Run
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.entries import Benchmark, Entry
from prunebench.benchmark.errors import entries_named
from prunebench.components.managers import accepts, call_planning_hook, implements
from prunebench.kernels.counts import count_at, global_count
from prunebench.plan.chain import Chain, draws
from prunebench.plan.context import TrialContext
from prunebench.plan.counts import matched
from prunebench.plan.curves import CurveSpec, curve_spec
from prunebench.plan.demand import demanded
from prunebench.plan.first_step import FirstStep
from prunebench.plan.participants import Participants
from prunebench.plan.phases import Phases
from prunebench.plan.published import FirstWeights, prepared_for
from prunebench.plan.scoring import Scoring
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import LeftOut, Plan, Trial

Costs: TypeAlias = Mapping[Cost, float]


class Probe(Protocol):
    """Where planning learns sizes and shapes: a cache, so that no data is read and no torch imported twice."""

    def data(self, chosen: DataChoice) -> DataInfo:
        """Sizes and digest of a data set."""
        ...

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        """Layers and units of a model, as a task's inputs go through it."""
        ...

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        """The file that a model starts from; asked only where it names one, or weights were published with it."""
        ...

    def first_step(self, chosen: ModelChoice, step: FirstStep) -> str:
        """What the first step of a run would fail with; empty if nothing."""
        ...

    def ask_score(self, chosen: ModelChoice, scoring: Scoring) -> None:
        """Nothing. Raises CannotTakePart if the network is none for the score."""
        ...

    def least(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> Costs:
        """The share of each cost that is left where as few units live as may; asked only where a file cuts to one."""
        ...


def make_plan(benchmark: Benchmark, probe: Probe) -> Plan:
    """Compile a benchmark.

    Raises:
        ConfigError: with every entry that has no plan, and why.
    """
    return _Planner(benchmark, probe).plan()


def chain_of(benchmark: Benchmark, probe: Probe, entry: str, seed: int) -> Chain:
    """The chain of one entry, on the file's first model and data set."""
    return _Planner(benchmark, probe)._chain(entry, _Place(0, 0, seed))


@dataclass(frozen=True)
class _Place:
    """One model and one data set, by their positions in the file's lists."""

    model: int
    data: int
    seed: int


def _selecting(entry: Entry) -> BoundComponent | None:
    """The component that chooses which units stay; None where mask updates alone do."""
    return entry.select if entry.prune is None else entry.prune


class _Planner:
    def __init__(self, benchmark: Benchmark, probe: Probe) -> None:
        self.benchmark, self.probe = benchmark, probe
        self.phases, self.participants = Phases(), Participants()
        self.curves: dict[str, CurveSpec] = {}
        self.chains: dict[tuple[str, _Place, int], Chain] = {}
        self.errors: dict[str, list[str]] = {}
        self._infos: dict[Any, Any] = {}
        self._refused: dict[Any, PrunebenchError] = {}
        self._texts: dict[int, str] = {}

    def plan(self) -> Plan:
        trials: list[Trial] = []
        left_out: dict[tuple[str, int, int], LeftOut] = {}
        for entry in self.benchmark.entries:
            for place in self._places(entry):
                where = (entry.name, place.model, place.data)
                if where in left_out:
                    continue
                try:
                    trials.append(self._trial(entry, place))
                except CannotTakePart as error:
                    model, data = entry.models[place.model].label, entry.data[place.data].label
                    left_out[where] = LeftOut(entry.name, model, data, self.benchmark.seeds, str(error))
                except (PlanError, DataMissing, ConfigError) as error:
                    names = self.errors.setdefault(str(error), [])
                    if entry.name not in names:
                        names.append(entry.name)
                    break  # the other seeds would only say it again
        if left_out and not trials:
            for out in left_out.values():
                self.errors.setdefault(f"{out.model}: {out.why}", []).append(out.entry)
        if self.errors:
            raise ConfigError([self._worded(error, names) for error, names in self.errors.items()])
        wanted, naive = self._wanted(trials)
        return Plan(self.phases.by_key, tuple(trials), self.curves, wanted, naive, tuple(left_out.values()))

    def _worded(self, error: str, names: list[str]) -> str:
        """One error, with the entries that it is true of; not with their names where it is true of all."""
        file = os.path.relpath(self.benchmark.file)
        if len(names) == len(self.benchmark.entries) > 1:
            return f"{file}: {error}"
        return f"{file}: {entries_named(names)}: {error}"

    def _places(self, entry: Entry) -> Iterator[_Place]:
        for model in range(len(entry.models)):
            for data in range(len(entry.data)):
                for seed in self.benchmark.seeds:
                    yield _Place(model, data, seed)

    def _trial(self, entry: Entry, place: _Place) -> Trial:
        entry = entry.on(place.model)
        chain = self._chain(entry.name, place)
        context = chain.context
        # The tickets of another entry, judged by this one's recipe.
        source = self._chain(entry.tickets, place) if entry.tickets is not None else chain
        tickets = source.tickets
        evaluations = []
        ancestors: set[str] = set()
        for round in self._rounds(entry, chain):
            drawn = entry.tickets is None and not entry.edits and draws(entry)
            for draw in range(entry.draws if round > 0 and (entry.edits or drawn) else 1):
                # Edits are drawn anew for one ticket; masks that are drawn need a chain of their own for each draw.
                own = self._chain(entry.name, place, draw) if drawn else source
                ticket = own.tickets[round]
                self._add_ancestors(ticket, ancestors)
                ticket = own.edited(ticket, entry.edits, draw) if round > 0 else ticket
                run = own.evaluate(ticket, entry.evaluate, draw=draw)
                evaluations.append(self._evaluation(entry, run, round, draw))
        analyses = []
        for use in entry.analyses:
            edited = tuple(source.edited(t, entry.edits, 0) if t.round else t for t in tickets)

            def rerun(ticket: PlannedTicket, twin: int, chain: Chain = source) -> Run:
                return chain.evaluate(ticket, entry.evaluate, twin=twin)

            request = Request(
                "analyse",
                len(tickets) - 1,
                None,
                chain.optima,
                source,
                self._other(place),
                edited,
                tuple(evaluations),
                rerun,
            )
            analyses += [(use.name, ref) for ref in source.analyse(use, request)]
        finds = frozenset(key for key in ancestors if self.phases.by_key[key].kind == "train")
        alike = (entry.name, place.model, place.data)  # the other seeds would only say it again
        if any(self.phases.by_key[key].kind == "prune" for key in ancestors):
            self._once(("asked", *alike), lambda: self._ask(source.entry, entry, place, context))
        self._once(
            ("tried", *alike),
            lambda: self._try(entry, place, context, [*finds, *(one.run.key for one in evaluations)]),
        )
        return Trial(
            entry=entry.name,
            model=entry.models[place.model].label,
            data=entry.data[place.data].label,
            seed=place.seed,
            units=context.model.units,
            parameters=context.model.parameters,
            layers=context.model.layers,
            metrics=entry.metrics,
            evaluations=tuple(evaluations),
            analyses=tuple(analyses),
            finds=finds,
            note=context.data.note,
            weights_note=context.weights_note,
            coverage=context.model.coverage,
            units_kind=context.units.name,
        )

    def _ask(self, pruner: Entry, entry: Entry, place: _Place, context: TrialContext) -> None:
        """Ask the score that a trial prunes by, unless it reads data. Raises CannotTakePart if the network is none."""
        score = pruner.score
        if score is None or _reads_data(score, "prunebench_score"):
            return
        model, data = entry.models[place.model], entry.data[place.data]
        scoring = Scoring(context.data, entry.task, entry.units, score)
        same = ("score", id(model.use), id(data.use), keys.digest(scoring.identity))
        self._once(same, partial(self.probe.ask_score, model, scoring))

    def _try(self, entry: Entry, place: _Place, context: TrialContext, runs: list[str]) -> None:
        """Try the first step of each recipe of a trial. Raises PlanError with what a run would fail with."""
        specs = [spec for key in runs if isinstance(spec := self.phases.by_key[key].spec, TrainSpec)]
        # A term that reads earlier states cannot be tried before there are any, nor one that reads data without it.
        reading = {term.use for spec in specs for term in spec.loss if term.inputs}
        model, data = entry.models[place.model], entry.data[place.data]
        fails: dict[str, None] = {}
        for recipe in (entry.find, entry.evaluate):
            losses = tuple(
                use for use in recipe.loss if use.name not in reading and not _reads_data(use, "prunebench_loss_terms")
            )
            step = FirstStep(context.data, entry.task, entry.units, recipe, losses)
            same = ("step", id(model.use), id(data.use), keys.digest(step.identity))
            if why := self._once(same, partial(self.probe.first_step, model, step)):
                fails[why] = None
        if fails:
            raise PlanError("; ".join(f'model "{model.label}" on data "{data.label}": {why}' for why in fails))

    def _evaluation(self, entry: Entry, run: Run, round: int, draw: int) -> Evaluation:
        spec = curve_spec(self.benchmark.measure, entry.task, run)
        self.curves[spec.digest] = spec
        return Evaluation(round, draw, run, Ref(run.key, "curve", run.stop, spec.digest), run.end_mask)

    # Chains are shared: an entry that takes another's tickets builds on the very same object.

    def _chain(self, name: str, place: _Place, draw: int = 0) -> Chain:
        entry = self.benchmark.all_entries[name].on(place.model)
        if entry.tickets is not None:
            # Its own recipe and edits, the other's chain.
            return self._chain(entry.tickets, place)
        if (name, place, draw) not in self.chains:
            context = self._context(entry, place)
            counts = self._counts(entry, context, place)
            self.chains[name, place, draw] = Chain(
                entry,
                context,
                self.phases,
                counts,
                self._other(place),
                self.benchmark.catalogue,
                self.participants,
                draw,
            )
        return self.chains[name, place, draw]

    def _other(self, place: _Place) -> Callable[[str], Chain]:
        return lambda name: self._chain(name, place)

    def _context(self, entry: Entry, place: _Place) -> TrialContext:
        data, model = entry.data[place.data], entry.models[place.model]
        published = self._published(model)
        if published is not None:
            # One object for each, as the texts of components are kept by them.
            data = self._once(
                ("prepared", self._text(data.use), id(model)), lambda: prepared_for(data, model.label, published)
            )
        info: DataInfo = self._once(("data", self._text(data.use)), lambda: self.probe.data(data))
        shape: ModelInfo = self._once(
            ("model", *map(self._text, (model.use, data.use, entry.units, entry.task)), model.label),
            lambda: self.probe.model(model, info, entry.units, entry.task),
        )
        if shape.units == 0:
            raise CannotTakePart(f"units {entry.units}: model {model.label} has nothing to prune")
        absent = [split for split in self.benchmark.measure.splits if not info.sizes.get(split)]
        if absent:
            rest = ", ".join(f'"{split}"' for split in self.benchmark.measure.splits if split not in absent)
            raise PlanError(
                f'measure.splits: data "{data.label}" has no examples of "{absent[0]}"; write splits = [{rest}], or '
                "hold some out (`valid`)"
            )
        first = None
        if published is not None or model.weights is not None:
            what = ("weights", id(model), self._text(data.use))
            first = self._once(what, lambda: self.probe.weights(model, info, published))
        elif model.fresh_head:
            raise PlanError(
                "model.fresh_head: there is a head to replace only with `weights`, or with weights that were published "
                "with the network (`pretrained = true`)"
            )
        return TrialContext(
            data.use,
            info,
            model.use,
            model.init,
            shape,
            entry.units,
            entry.task,
            place.seed,
            None if first is None else first.file,
            model.fresh_head,
            "" if first is None else first.note,
        )

    def _published(self, model: ModelChoice) -> Pretrained | None:
        """What was published with a network, if it is asked for."""
        found: Pretrained | None = self._once(
            ("published", id(model)),
            lambda: call_planning_hook(
                model.use, "prunebench_pretrained", asked=model.pretrained, revision=model.revision
            ),
        )
        if found is None and (model.pretrained or model.revision is not None):
            key = "pretrained" if model.pretrained else "revision"
            raise PlanError(f"model.{key}: no weights were published with {model.label}, as far as {model.use} knows")
        return found

    def _once(self, what: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, or raises, once: a wrong copy of a data set takes long to find out, too."""
        if what in self._refused:
            raise self._refused[what]
        if what not in self._infos:
            try:
                self._infos[what] = make()
            except PrunebenchError as error:
                self._refused[what] = error
                raise
        return self._infos[what]

    def _text(self, use: BoundComponent) -> str:
        """What tells a component of one configuration from all others; entries have objects of their own."""
        if id(use) not in self._texts:
            self._texts[id(use)] = keys.canonical(use.to_json())
        return self._texts[id(use)]

    def _counts(self, entry: Entry, context: TrialContext, place: _Place) -> Sequence[Count]:
        """Units alive after each round, from `cut` and `rounds` or from the densities alone.

        Raises: PlanError if a round leaves nothing, or less than the floors of the layers need.
        """
        if entry.schedule is not None and entry.cost is not None:
            return self._cost_shares(entry, entry.cost, context, place)
        counts = self._stated_counts(entry, context)
        needed = sum(layer.floor for layer in context.model.layers)
        for round, count in enumerate(counts):
            if count < needed:
                raise PlanError(
                    f"units {entry.units}: round {round} would leave {count:,} of {counts[0]:,} units, and its "
                    f"layers keep at least {needed:,} in all; ask for a higher density, fewer rounds or a lower floor "
                    "(`keep_at_least`)"
                )
        return counts

    def _cost_shares(self, entry: Entry, of: Cost, context: TrialContext, place: _Place) -> Sequence[Count]:
        """What each round is cut to, where the file asks for shares of a cost.

        Raises: PlanError if no number of units leaves so little, or the selection does not take any number.
        """
        if entry.cut is None:
            assert entry.densities is not None
            shares = sorted((d.value for d in entry.densities if d.value < 1), reverse=True)
        else:
            assert entry.rounds is not None
            shares = [(1.0 - entry.cut) ** round for round in range(1, entry.rounds + 1)]
        self._takes_any_count(entry, of, context)
        least = self._once(
            ("least", id(context.model)),
            lambda: self.probe.least(entry.models[place.model], context.data, entry.units, entry.task),
        )[of]
        for round, share in enumerate(shares, 1):
            if share < least:
                raise PlanError(
                    f'density_of = "{of}": round {round} asks for {share:.3g} of the {COSTS[of]}, and {least:.3g} of '
                    f"them are left when as few units of {entry.units} live as may; ask for more"
                )
        return [context.model.units, *(CostShare(of, share) for share in shares)]

    def _takes_any_count(self, entry: Entry, of: Cost, context: TrialContext) -> None:
        """Raises PlanError where the selection says itself how many units live, whatever it is asked for."""
        units = context.model.units
        if not self._decides(entry):
            self._own_count(entry, context, 0.5, 1, units // 2)  # a pattern that matches no layer is found here
            return
        try:
            tried = [self._own_count(entry, context, None, 1, units * part // 4) for part in (2, 3)]
            why = "" if tried[0] != tried[1] else f"it leaves {tried[0]:,} of {units:,} units whatever is asked for"
        except PlanError as error:
            why = str(error)
        if why:
            raise PlanError(
                f'density_of = "{of}": {_selecting(entry)} cannot be asked for any number of units, so none can be '
                f"found that leaves a share of the {COSTS[of]}: {why}"
            )

    def _stated_counts(self, entry: Entry, context: TrialContext) -> list[int]:
        units = context.model.units
        if entry.schedule is None:
            return [units]
        if entry.cut is None:
            assert entry.densities is not None
            stated = sorted((d for d in entry.densities if d.value < 1), key=lambda d: -d.value)
            counts = [units, *(count_at(d.value, units) for d in stated)]
            if self._decides(entry):
                counts[1:] = [
                    self._own_count(entry, context, None, round, count) or count
                    for round, count in enumerate(counts[1:], 1)
                ]
            else:
                self._own_count(entry, context, 0.5, 1, units // 2)  # a pattern that matches no layer is found here
            for density, count, before in zip(stated, counts[1:], counts, strict=False):
                if count < 1:
                    raise PlanError(f"density {density} is finer than one of the {units:,} units")
                if count >= before:
                    raise PlanError(f"density {density} removes no unit of {before:,}")
            return counts
        assert entry.rounds is not None
        counts = [units]
        for round in range(1, entry.rounds + 1):
            count = global_count(entry.cut, round, units)
            own = self._own_count(entry, context, entry.cut, round, count)
            count = count if own is None else own
            if not 0 < count <= counts[-1]:
                raise PlanError(f"round {round} would leave {count:,} of {units:,} units; ask for fewer rounds")
            if round == 1 and count == units:
                raise PlanError(f"cut {entry.cut} removes no unit of {units:,}")
            counts.append(count)
        return counts

    def _own_count(self, entry: Entry, context: TrialContext, cut: float | None, round: int, stated: int) -> int | None:
        """What the selection says that it leaves, if it says, where `stated` units are asked for."""
        select = _selecting(entry)
        if select is None:
            return None
        arguments = {"cut": cut, "round": round, "layers": context.model.layers, "count": stated}
        count: int | None = self._once(
            ("count", id(select), id(context.model), cut, round, stated),
            partial(call_planning_hook, select, "prunebench_count", **arguments),
        )
        return count

    def _decides(self, entry: Entry) -> bool:
        """Whether the selection has the last word on how many units a stated density leaves."""
        select = _selecting(entry)
        if select is None:
            return False
        return implements(select.planner, "prunebench_count") and accepts(select.planner, "prunebench_count", "count")

    def _rounds(self, entry: Entry, chain: Chain) -> list[int]:
        """The rounds whose tickets are judged."""
        if entry.schedule is None:
            return [0]
        if entry.densities is None:
            return list(range(1, chain.rounds + 1))
        if chain.cut is None and entry.tickets is None:
            return ([0] if any(d.value == 1 for d in entry.densities) else []) + list(range(1, chain.rounds + 1))
        return matched(entry.densities, chain.counts)

    # What the results rest on, and how much of it is shared.

    def _add_ancestors(self, ticket: PlannedTicket, ancestors: set[str]) -> None:
        """Add the phases that lead to a ticket to those that are known already."""
        stack = [ref.key for ref in (ticket.weights, ticket.mask) if ref is not None]
        while stack:
            key = stack.pop()
            if key not in ancestors:
                ancestors.add(key)
                stack += [ref.key for ref in self.phases.by_key[key].parents]

    def _wanted(self, trials: list[Trial]) -> tuple[dict[str, frozenset[Ref]], int]:
        plan = Plan(self.phases.by_key, tuple(trials), {}, {}, 0)
        wanted = demanded(self.phases.by_key, list(plan.sinks))
        naive = sum(len(trial.finds) + len(trial.evaluations) for trial in trials)
        return wanted, naive


def _reads_data(component: BoundComponent, hook: str) -> bool:
    """Whether a component's answer to a hook is made from training examples."""
    return accepts(component.planner, hook, "data")
