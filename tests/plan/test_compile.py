"""From a benchmark to a plan: which runs are one, which outputs are asked of them, and what cannot be planned."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Component, ComponentConfig, DataMissing, EntryRef, hookimpl
from prunebench.api.component import BoundComponent
from prunebench.api.errors import ConfigError, DataUnusable
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.measurements import Analysis
from prunebench.api.planning import Needs, Request
from prunebench.api.random import Streams
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.load import resolve
from prunebench.benchmark.merging import normalise
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.plan.demand import demanded
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import PruneSpec, drawn_from
from prunebench.plan.trial import Plan, Trial
from prunebench.store.environment import Environment
from prunebench.store.store import Store
from prunebench.testing import ToyProbe, no_global_randomness, toy_benchmark, toy_catalogue, toy_plan
from prunebench.testing.toy import TOY

LATE = {"name": "late", "extends": "imp", "schedule": {"use": "rewind", "to": "8it"}}


def entry(name: str = "imp", **more: Any) -> dict[str, Any]:
    return {"name": name, **({} if name == "imp" else {"extends": "imp"}), **more}


def trial(plan: Plan, name: str, seed: int = 0) -> Trial:
    (found,) = (t for t in plan.trials if t.entry == name and t.seed == seed)
    return found


def runs(one: Trial) -> set[str]:
    """The keys of the runs that judge the tickets of a trial."""
    return {evaluation.run.key for evaluation in one.evaluations}


def spec(plan: Plan, key: str) -> Any:
    return plan.phases[key].spec


# What is one run.


def test_judging_the_ticket_of_round_r_is_the_find_run_of_round_r_plus_1_where_the_recipes_are_equal() -> None:
    plan = toy_plan(rounds=3)
    imp = trial(plan, "imp")
    by_round = {spec(plan, key).streams.round: key for key in imp.finds}
    assert sorted(by_round) == [1, 2, 3]
    assert [e.run.key for e in imp.evaluations][:2] == [by_round[2], by_round[3]]
    assert len(plan.runs) == 4  # three find runs, and the one that judges the last ticket


@pytest.mark.parametrize("changed", [{"batch": 16}, {"optimizer": {"lr": 0.2}}, {"label_smoothing": 0.1}])
def test_where_the_recipes_differ_finding_and_judging_are_different_runs(changed: dict[str, Any]) -> None:
    plan = toy_plan(rounds=3, evaluate=changed)
    imp = trial(plan, "imp")
    assert not runs(imp) & imp.finds
    assert len(plan.runs) == 3 + 3 + 1  # find runs, judging runs, and the dense entry


def test_a_find_run_that_is_stopped_early_is_still_the_run_that_judges() -> None:
    plan = toy_plan(rounds=3, find={"stop": "12it"})
    imp = trial(plan, "imp")
    assert len(runs(imp) & imp.finds) == 2
    (asked,) = (refs for key, refs in plan.wanted.items() if key == imp.evaluations[0].run.key)
    assert {(ref.part, ref.at) for ref in asked} == {("weights", 12), ("curve", 24)}


def test_a_late_rewind_shares_its_first_run_with_the_original_procedure() -> None:
    plan = toy_plan(entry=[LATE])
    late, imp = trial(plan, "late"), trial(plan, "imp")
    (shared,) = late.finds & imp.finds
    assert spec(plan, shared).streams.round == 1
    assert {(ref.part, ref.at) for ref in plan.wanted[shared]} >= {("weights", 8), ("weights", 24)}


def test_rewinding_to_many_points_of_one_run_trains_it_once() -> None:
    points = [f"{iteration}it" for iteration in range(0, 24, 2)]
    entries = [entry(f"at-{to}", schedule={"use": "rewind", "to": to}, rounds=1) for to in points]
    plan = toy_plan(rounds=1, entry=entries)
    (first,) = set.intersection(*(set(t.finds) for t in plan.trials if t.entry != "dense"))
    assert {ref.at for ref in plan.wanted[first] if ref.part == "weights"} == {*range(2, 24, 2), 24}
    assert len(plan.runs) == 1 + len(points)


def test_tickets_of_another_entry_are_the_same_cached_work() -> None:
    plan = toy_plan(entry=[{"name": "control", "tickets": "imp", "ticket": ["shuffle-within-layer", "reinit"]}])
    imp, control = trial(plan, "imp"), trial(plan, "control")
    assert control.finds == imp.finds
    assert not runs(control) & runs(imp)
    edited = [spec(plan, e.run.key) for e in control.evaluations]
    assert {plan.phases[one.mask.key].kind for one in edited} == {"edit"}
    # The edits of the file in their order: each starts from what the one before it left.
    reinit = spec(plan, edited[0].weights.key)
    shuffle = spec(plan, reinit.mask.key)
    assert (shuffle.edit.use, reinit.edit.use) == ("shuffle-within-layer", "reinit")
    assert shuffle.mask.key == imp.evaluations[0].mask.key  # type: ignore[union-attr]


def test_an_edited_ticket_starts_with_a_fresh_optimizer() -> None:
    late = {**LATE, "train": {"optimizer_state": "with-weights"}}
    control = {"name": "control", "tickets": "late", "ticket": {"use": "reinit", "clock": "8it"}}
    plan = toy_plan(entry=[late, control])
    states = [[spec(plan, e.run.key).optimizer_state for e in trial(plan, n).evaluations] for n in ("late", "control")]
    assert [state.at for state in states[0]] == [8, 8]
    assert states[1] == [None, None]  # the state of weights that are gone


def test_a_control_without_edits_is_its_source() -> None:
    plan = toy_plan(entry=[{"name": "control", "tickets": "imp"}])
    assert runs(trial(plan, "control")) == runs(trial(plan, "imp"))


def test_tickets_can_be_judged_under_another_recipe() -> None:
    plan = toy_plan(entry=[{"name": "control", "tickets": "imp", "evaluate": {"batch": 16}}])
    control = trial(plan, "control")
    assert control.finds == trial(plan, "imp").finds
    assert {spec(plan, key).recipe.batch for key in runs(control)} == {16}


def test_a_dense_entry_is_the_first_find_run_of_the_others() -> None:
    plan = toy_plan()
    (dense,) = trial(plan, "dense").evaluations
    assert (dense.round, dense.mask, trial(plan, "dense").finds) == (0, None, frozenset())
    assert dense.run.key in trial(plan, "imp").finds


def test_a_grid_of_three_by_three_recipes_has_three_find_chains() -> None:
    grid = {"f": {"find.optimizer.lr": [0.05, 0.1, 0.2]}, "e": {"evaluate.optimizer.lr": [0.05, 0.1, 0.2]}}
    plan = toy_plan(rounds=4, entries=LRS, entry=[entry("{f}-{e}", grid=grid)])
    assert len({trial(plan, name).finds for name in LRS}) == 3
    # 3 chains of 4 runs; 9 entries of 4 judging runs, of which those of 3 entries are find runs but for the last.
    assert len(plan.runs) == 3 * 4 + 9 * 4 - 3 * 3


LRS = [f"{find}-{evaluate}" for find in (0.05, 0.1, 0.2) for evaluate in (0.05, 0.1, 0.2)]


def study(rounds: int, seeds: int) -> Plan:
    """Three hyper-parameters, each crossed with itself for finding and judging, around one shared centre."""
    axes: dict[str, tuple[str, list[Any]]] = {
        "lr": ("optimizer.lr", [0.05, 0.1, 0.2]),
        "batch": ("batch", [4, 8, 16]),
        "momentum": ("optimizer.momentum", [0.8, 0.9, 0.95]),
    }
    grids = [
        entry(f"{name}-{{f}}-{{e}}", grid={"f": {f"find.{key}": values}, "e": {f"evaluate.{key}": values}})
        for name, (key, values) in axes.items()
    ]
    names = [f"{name}-{f}-{e}" for name, (_, values) in axes.items() for f in values for e in values]
    return toy_plan(rounds=rounds, cut=0.05, seeds=list(range(seeds)), entry=grids, entries=names)


def distinct(rounds: int, seeds: int) -> int:
    chains, judged, coupled = 7, 25, 7  # the centre is counted once: 3 * 3 - 2 recipes, 3 * 9 - 2 pairs of them
    return seeds * (chains * rounds + judged * rounds - coupled * (rounds - 1))


@pytest.mark.parametrize(("rounds", "seeds"), [(1, 1), (3, 2), (30, 5)])
def test_no_run_of_a_study_is_trained_twice(rounds: int, seeds: int) -> None:
    plan = study(rounds, seeds)
    assert plan.naive_runs == 27 * 2 * rounds * seeds
    assert len(plan.runs) == distinct(rounds, seeds)


def test_the_study_of_three_hyper_parameters_trains_3785_of_8100_runs() -> None:
    assert (distinct(30, 5), 27 * 2 * 30 * 5) == (3_785, 8_100)


# Streams, draws and seeds.


def test_judging_round_r_draws_the_streams_of_round_r_plus_1() -> None:
    plan = toy_plan(rounds=3, evaluate={"batch": 16})
    for evaluation in trial(plan, "imp").evaluations:
        streams = spec(plan, evaluation.run.key).streams
        assert streams == Streams(seed=0, round=evaluation.round + 1)


def test_draws_edit_and_judge_each_ticket_several_times_with_noise_of_their_own() -> None:
    plan = toy_plan(entry=[{"name": "control", "tickets": "imp", "ticket": "reinit", "draws": 3}])
    control = trial(plan, "control")
    assert [(e.round, e.draw) for e in control.evaluations] == [(r, d) for r in (1, 2) for d in (0, 1, 2)]
    assert len(runs(control)) == 6
    for e in control.evaluations:
        run = spec(plan, e.run.key)
        assert run.streams.draw == spec(plan, run.weights.key).streams.draw == e.draw


def test_draws_of_a_random_mask_prune_and_judge_several_times_from_one_start() -> None:
    entry = {"name": "random", "schedule": "at-init", "score": "random", "select": "global", "units": "toy-units"}
    plan = toy_plan(entry=[{**entry, "draws": 3}])
    (trial,) = (trial for trial in plan.trials if trial.entry == "random")
    assert [(e.round, e.draw) for e in trial.evaluations] == [(r, d) for r in (1, 2) for d in (0, 1, 2)]
    assert len({e.mask for e in trial.evaluations}) == 6
    assert len({e.run.ticket.weights for e in trial.evaluations}) == 1
    single = toy_plan(entry=[entry])
    first = [e.run.key for t in single.trials if t.entry == "random" for e in t.evaluations]
    assert first == [e.run.key for e in trial.evaluations if e.draw == 0]


def test_densities_of_one_draw_share_what_is_drawn_where_a_file_says_so() -> None:
    entry = {"name": "random", "schedule": "at-init", "score": "random", "select": "global", "units": "toy-units"}
    plans = [toy_plan(rounds=3, entry=[{**entry, "draws": 2, **more}]) for more in ({}, {"draw_once": True})]
    for plan, once in zip(plans, (False, True), strict=True):
        found = next(t for t in plan.trials if t.entry == "random").evaluations
        prunings = [(e.draw, spec_of(plan.phases, e.mask.key, PruneSpec)) for e in found if e.mask is not None]
        for draw in (0, 1):
            streams = {drawn_from(one) for at, one in prunings if at == draw}
            assert len(streams) == (1 if once else 3)
            assert all(own.draw == draw for own in streams)
    # What draws nothing has the key that it had.
    keys = [
        {e.run.key for e in trial(toy_plan(entry=[{"name": "imp", **more}]), "imp").evaluations}
        for more in ({}, {"draw_once": True})
    ]
    assert keys[0] == keys[1]


def test_without_an_edit_there_is_nothing_to_draw_again() -> None:
    plan = toy_plan(entry=[{"name": "imp", "draws": 3}])
    assert [e.draw for e in trial(plan, "imp").evaluations] == [0, 0]


def test_every_model_data_set_and_seed_is_a_trial_of_its_own() -> None:
    table = normalise({**TOY, "seeds": [0, 1], "model": [{"use": "toy-net"}, {"use": "toy-net", "label": "again"}]})
    plan = make_plan(resolve(table, toy_catalogue(), Path("toy.toml")), ToyProbe())
    assert [(t.entry, t.model, t.seed) for t in plan.trials] == [
        (name, model, seed) for name in ("dense", "imp") for model in ("toy-net", "again") for seed in (0, 1)
    ]
    # Two names of one model are the same work.
    assert {t.finds for t in plan.trials if t.entry == "imp" and t.seed == 0} == {trial_of(plan, "again").finds}


def trial_of(plan: Plan, model: str) -> Trial:
    return next(t for t in plan.trials if t.entry == "imp" and t.model == model and t.seed == 0)


# Which rounds are judged.


def judged(**changes: Any) -> list[int]:
    return [e.round for e in trial(toy_plan(**changes), "imp").evaluations]


def test_all_rounds_are_judged_unless_densities_choose_some() -> None:
    assert judged(rounds=4) == [1, 2, 3, 4]
    assert judged(rounds=7, densities=[0.21, 0.64]) == [2, 7]
    assert judged(rounds=4, densities=[1, 0.64]) == [0, 2]


def planned_without(keys: Sequence[str], **more: Any) -> Plan:
    table = normalise({**{k: v for k, v in TOY.items() if k not in keys}, **more})
    return make_plan(resolve(table, toy_catalogue(), Path("toy.toml")), ToyProbe())


def test_densities_alone_are_rounds_of_their_own() -> None:
    plan = planned_without(["cut", "rounds"], densities=[0.1, 0.5, 1.0])
    imp = trial(plan, "imp")
    assert [e.round for e in imp.evaluations] == [0, 1, 2]
    masks = [spec(plan, e.mask.key) for e in imp.evaluations if e.mask is not None]
    assert [mask.count for mask in masks] == [33, 7]  # of 66, from the densest down
    assert [mask.cut for mask in masks] == [None, None]


def test_a_selection_that_counts_for_itself_is_asked() -> None:
    plan = toy_plan(rounds=2, entry=[{"name": "imp", "select": {"use": "layerwise", "rates": {"fc2*": 0.5}}}])
    masks = [spec(plan, e.mask.key) for e in trial(plan, "imp").evaluations if e.mask is not None]
    counts = [round(48 * 0.8**r) + round(18 * 0.9**r) for r in (1, 2)]
    assert [(mask.count, mask.cut, mask.round) for mask in masks] == [(counts[0], 0.2, 1), (counts[1], 0.2, 2)]


# Components that read more than their phase.


class TheirConfig(ComponentConfig):
    other: EntryRef = EntryRef("imp")


class ReadsTheirs:
    """An analysis of another entry's tickets, and a loss term that reads the last of them."""

    def __init__(self, config: TheirConfig) -> None:
        self._other = config.other

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        tickets = request.other(self._other).tickets
        if request.phase == "train":
            return Needs({"theirs": tickets[-1:]})
        return Needs({"mine": request.tickets, "theirs": tickets})

    @hookimpl
    def prunebench_analyse(self) -> Analysis:
        return Analysis()

    @hookimpl
    def prunebench_loss_terms(self) -> list[Any]:
        return []


class Twins:
    """An analysis of two runs of each ticket: the one that judges it, and a twin with other noise."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> list[Needs]:
        assert request.evaluate is not None
        both = [[request.evaluate(ticket, twin).optimum for twin in (0, 1)] for ticket in request.tickets]
        return [Needs({"twins": pair}) for pair in both]

    @hookimpl
    def prunebench_analyse(self) -> Analysis:
        return Analysis()


READERS = toy_catalogue().with_components(
    [Component("theirs", TheirConfig, ReadsTheirs, 1), Component("twins", ComponentConfig, Twins, 1)], "tests"
)


def reading(*entries: dict[str, Any], **more: Any) -> Plan:
    return toy_plan(entry=list(entries), catalogue=READERS, **more)


def test_an_analysis_is_a_phase_of_its_own_and_trains_nothing() -> None:
    plan, without = toy_plan(entry=[entry(analyse="layer-densities")]), toy_plan()
    ((name, ref),) = trial(plan, "imp").analyses
    phase = plan.phases[ref.key]
    assert (name, phase.kind, ref.part) == ("layer-densities", "analyse", "analysis")
    tickets = phase.spec.analysis.inputs["tickets"]
    assert [ticket.round for ticket in tickets] == [0, 1, 2]
    assert [ticket.mask is None for ticket in tickets] == [True, False, False]
    assert [run.key for run in plan.runs] == [run.key for run in without.runs]


def test_an_analysis_reads_the_tickets_as_they_are_judged() -> None:
    plan = toy_plan(entry=[{"name": "c", "tickets": "imp", "ticket": "reinit", "analyse": "layer-densities"}])
    ((_, ref),) = trial(plan, "c").analyses
    inputs = plan.phases[ref.key].spec.analysis.inputs["tickets"]
    assert [plan.phases[ticket.weights.key].kind for ticket in inputs] == ["init", "edit", "edit"]


def test_an_entry_may_read_the_tickets_of_another() -> None:
    plan = reading(
        LATE, entry("reader", schedule={"use": "rewind", "to": "4it"}, analyse={"use": "theirs", "other": "late"})
    )
    ((_, ref),) = trial(plan, "reader").analyses
    inputs = plan.phases[ref.key].spec.analysis.inputs
    assert [ticket.weights.at for ticket in inputs["theirs"]] == [None, 8, 8]
    assert [ticket.weights.at for ticket in inputs["mine"]] == [None, 4, 4]


def test_what_is_read_of_another_entry_is_made_even_if_that_entry_is_not_scored() -> None:
    plan = reading(LATE, entry("reader", loss={"use": "theirs", "other": "late"}), entries=["reader"])
    assert [t.entry for t in plan.trials] == ["reader"]
    rounds = {spec(plan, phase.key).start for phase in plan.runs}
    assert rounds == {0, 8}  # the late entry's second find run starts at 8


def test_the_key_of_a_run_holds_what_it_reads_of_another_entry() -> None:
    def of(to: str) -> set[str]:
        late = {**LATE, "schedule": {"use": "rewind", "to": to}}
        return runs(trial(reading(late, entry("reader", loss={"use": "theirs", "other": "late"})), "reader"))

    assert not of("4it") & of("8it")


def test_a_twin_shares_twin_0_with_the_run_that_judges() -> None:
    plan = reading(entry(analyse="twins"))
    imp = trial(plan, "imp")
    assert [name for name, _ in imp.analyses] == ["twins"] * 3  # one phase for each ticket
    by_twin: dict[int, set[str]] = {0: set(), 1: set()}
    for _, ref in imp.analyses:
        for point in plan.phases[ref.key].spec.analysis.inputs["twins"]:
            key = point.weights.key
            by_twin[spec(plan, key).streams.twin].add(key)
    dense = trial(plan, "dense").evaluations[0].run.key
    assert by_twin[0] == runs(imp) | {dense}
    assert len(by_twin[1]) == 3
    assert len(plan.runs) == len(toy_plan().runs) + 3


# Purity.

WITHOUT_TORCH = """
import sys
from pathlib import Path
from prunebench.components.catalogue import Catalogue
from prunebench.benchmark.load import load
from prunebench.plan.compile import make_plan
from prunebench.api.info import DataInfo, Layer, ModelInfo

class Probe:
    def data(self, chosen):
        return DataInfo("mnist5k", "0", {"train": 4000, "valid": 500, "test": 500}, (1, 28, 28), 10)

    def model(self, chosen, data, units, task):
        return ModelInfo(chosen.label, 1010, (Layer("fc1.weight", 0, 900), Layer("head.weight", 900, 100)))

    def first_step(self, chosen, step):
        return ""

    def ask_score(self, chosen, scoring):
        return None

plan = make_plan(load(Path(sys.argv[1]), Catalogue.load(), settings=["rounds=3"]), Probe())
assert len(plan.runs) > 10
heavy = [name for name in ("torch", "timm", "torchvision", "matplotlib", "mlxtend", "scipy") if name in sys.modules]
assert not heavy, heavy
"""


def test_planning_a_whole_file_imports_nothing_heavy() -> None:
    quickstart = Path(__file__).parents[2] / "benchmarks" / "quickstart.toml"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(quickstart)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_planning_draws_no_random_number() -> None:
    with no_global_randomness():
        toy_plan(entry=[LATE, {"name": "random", "extends": "imp", "score": "random", "ticket": "reinit"}])


@settings(deadline=None, max_examples=25)
@given(
    st.fixed_dictionaries(
        {"rounds": st.integers(1, 4), "cut": st.sampled_from([0.1, 0.2, 0.5]), "seeds": st.sampled_from([[0], [3, 1]])},
        optional={
            "train": st.fixed_dictionaries({}, optional={"batch": st.sampled_from([4, 8]), "lr": st.just(["cosine"])}),
            "evaluate": st.fixed_dictionaries({}, optional={"label_smoothing": st.just(0.1)}),
            "entry": st.lists(st.sampled_from([LATE, entry("c", ticket="reinit")]), unique_by=lambda e: e["name"]),
        },
    )
)
def test_equal_configurations_give_equal_plans(changes: dict[str, Any]) -> None:
    one, other = toy_plan(changes), toy_plan(changes)
    assert list(one.phases) == list(other.phases)
    assert {key: phase.spec for key, phase in one.phases.items()} == {k: p.spec for k, p in other.phases.items()}
    assert list(one.sinks) == list(other.sinks)
    assert one.wanted == other.wanted


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.sampled_from(["rewind", "one-shot", "at-init"]))
def test_a_plan_lists_parents_first_and_asks_only_for_what_exists(rounds: int, schedule: str) -> None:
    plan = toy_plan(rounds=rounds, entry=[entry(schedule=schedule)])
    seen: set[str] = set()
    for key, refs in plan.wanted.items():
        assert {parent.key for parent in plan.phases[key].parents} <= seen
        assert {ref.key for ref in refs} == {key}
        seen.add(key)
    assert {ref.key for ref in plan.sinks} <= seen


# What is still to be done.


def test_nothing_is_demanded_where_everything_is_there() -> None:
    plan = toy_plan()
    assert demanded(dict(plan.phases), list(plan.sinks), lambda ref: True) == {}


def test_everything_that_is_wanted_is_demanded_of_an_empty_store() -> None:
    plan = toy_plan()
    assert demanded(dict(plan.phases), list(plan.sinks)) == plan.wanted


def test_what_only_led_to_an_output_that_is_there_is_not_made_again() -> None:
    plan = toy_plan()
    last = trial(plan, "imp").evaluations[-1]
    assert last.mask is not None
    missing = demanded(dict(plan.phases), [last.curve], lambda ref: ref == last.mask)
    # The run itself, and the initial weights that it rewinds to; not the find runs that made its mask.
    assert [plan.phases[key].kind for key in missing] == ["init", "train"]
    assert missing[last.run.key] == {last.curve}


def test_only_the_missing_outputs_of_a_run_are_demanded() -> None:
    plan = toy_plan()
    first = trial(plan, "dense").evaluations[0]
    have = {ref for refs in plan.wanted.values() for ref in refs} - {first.curve}
    assert demanded(dict(plan.phases), list(plan.sinks), have.__contains__) == {first.run.key: frozenset({first.curve})}


# What cannot be planned.


def errors(*changes: Mapping[str, Any], probe: Any = None, **more: Any) -> tuple[str, ...]:
    benchmark = toy_benchmark(*changes, **more)
    with pytest.raises(ConfigError) as told:
        make_plan(benchmark, probe or ToyProbe())
    return told.value.errors


def test_what_is_true_of_every_entry_and_seed_is_told_once() -> None:
    assert errors(train={"batch": 1_000}, seeds=[0, 1, 2]) == (
        "toy.toml: batch 1,000 is larger than the 96 training examples of toy",
    )


def test_what_is_true_of_some_entries_names_them() -> None:
    assert errors(entry=[LATE, entry("more")], densities=[0.50]) == (
        'toy.toml: entries "imp", "late", "more": no round has density 0.5; '
        "the nearest are 0.803 (round 1) and 0.636 (round 2)",
    )


def test_every_entry_that_has_no_plan_is_told() -> None:
    past = {"name": "past", "extends": "imp", "schedule": {"use": "rewind", "to": "25it"}}
    fewer = {"name": "fewer", "extends": "imp", "rounds": 30}
    assert errors(entry=[past, fewer]) == (
        'toy.toml: entry "past": position "25it" (iteration 25) is outside of the run, which goes from iteration 0 '
        "to 24; state one inside of it, or another `find.stop` or `find.horizon`",
        'toy.toml: entry "fewer": round 22 would leave 0 of 66 units; ask for fewer rounds',
    )


@pytest.mark.parametrize(
    ("densities", "message"),
    [
        ([0.5, 0.001], "density 0.001 is finer than one of the 66 units"),
        ([0.5, 0.502], "density 0.5 removes no unit of 33"),
        ([0.999], "density 0.999 removes no unit of 66"),
    ],
)
def test_densities_alone_must_each_remove_a_unit_and_leave_one(densities: list[float], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        planned_without(["cut", "rounds"], densities=densities)
    assert told.value.errors == (f'toy.toml: entry "imp": {message}',)


def test_data_that_is_missing_is_told_by_its_plan() -> None:
    class Without(ToyProbe):
        def data(self, chosen: DataChoice) -> DataInfo:
            raise DataMissing("toy-data: no data under the root. Put it there.")

    assert errors(probe=Without()) == ("toy.toml: toy-data: no data under the root. Put it there.",)


def test_a_split_without_images_cannot_be_measured() -> None:
    class HoldsNoneOut(ToyProbe):
        def data(self, chosen: DataChoice) -> DataInfo:
            info = super().data(chosen)
            return replace(info, sizes={name: size for name, size in info.sizes.items() if name != "valid"})

    (message,) = errors(probe=HoldsNoneOut())
    assert 'has no examples of "valid"; write splits = ["train", "test"], or hold some out' in message
    assert make_plan(toy_benchmark({"measure": {"splits": ["train", "test"]}}), HoldsNoneOut()).runs


def test_a_model_without_units_has_nothing_to_prune() -> None:
    class Bare(ToyProbe):
        def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
            return replace(super().model(chosen, data, units, task), layers=())

    (message,) = errors(probe=Bare())
    assert message.endswith("model toy-net has nothing to prune")


class LeNetProbe(StoreProbe):
    """The real network on the meta device, for images of MNIST's size."""

    def data(self, chosen: DataChoice) -> DataInfo:
        return DataInfo("mnist", "0" * 64, {"train": 96, "valid": 24, "test": 24}, (1, 28, 28), 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"units": {"use": "weights", "include": ["fc3*"]}},
            'weights: include: "fc3*" matches no prunable layer (the classifier is one only with `classifier = true`).',
        ),
        (
            {"units": "weights", "select": {"use": "layerwise", "rates": {"haed*": 0.5}}},
            'layerwise: rates: "haed*" matches no layer that is pruned.',
        ),
    ],
)
def test_a_pattern_that_matches_no_layer_of_the_real_network_is_told_with_its_layers(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    probe = LeNetProbe(Store(tmp_path / "store", environment=Environment({"for": "planning"})), tmp_path)
    table = {**TOY, "model": {"name": "lenet_300_100"}, "entry": [{**TOY["entry"][1], **changes}]}
    benchmark = resolve(normalise(table), toy_catalogue(), Path("toy.toml"))
    with pytest.raises(ConfigError) as told:
        make_plan(benchmark, probe)
    (error,) = told.value.errors
    assert error.startswith(f'toy.toml: entry "imp": {message}')
    assert "fc1.weight" in error


def test_data_that_is_refused_is_looked_at_once_whatever_the_entries() -> None:
    looked: list[str] = []

    class Refusing(ToyProbe):
        def data(self, chosen: DataChoice) -> DataInfo:
            looked.append(chosen.label)
            raise DataUnusable("toy: a wrong copy")

    entries = [{"name": name, "data": {"use": "toy-data"}} for name in ("a", "b", "c")]
    with pytest.raises(ConfigError, match="toy: a wrong copy"):
        make_plan(toy_benchmark({"entry": entries, "seeds": [0, 1, 2]}), Refusing())
    assert looked == ["toy-data"]
