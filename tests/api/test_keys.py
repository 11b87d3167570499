"""What a key holds, and what it does not.

The golden keys are in golden/keys.json. A key that changes makes every recorded artifact and result of that phase
unreachable, so it must be a conscious act: raise the version of the component (or ENGINE_VERSION) whose numbers
changed, or find out why an identity changed that should not have. Then write the file again:

    PYTHONPATH=.:plugins:tests python tests/test_keys.py
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from prunebench import Component, ComponentConfig, PrunebenchError, hookimpl
from prunebench.api import keys
from prunebench.api.hookspecs import SLOTS
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.api.recipe import Recipe
from prunebench.api.strict import table_keys
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.entries import entry_refs
from prunebench.benchmark.load import load, resolve
from prunebench.benchmark.merging import merge, normalise
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import Probe, make_plan
from prunebench.plan.json_values import to_json
from prunebench.plan.phases import Phase
from prunebench.plan.trial import Plan
from prunebench.testing import ToyProbe, toy_catalogue
from prunebench.testing.toy import TOY

GOLDEN = Path(__file__).parents[1] / "golden" / "keys.json"
QUICKSTART = Path(__file__).parents[1] / "golden" / "quickstart.toml"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


# Canonical JSON.


def test_canonical_json_sorts_its_keys_and_has_no_spaces() -> None:
    value = {"b": [1, 1.0, None, True], "a": {"é": "x", "c": 1e-4}}
    assert keys.canonical(value) == '{"a":{"c":0.0001,"\\u00e9":"x"},"b":[1,1.0,null,true]}'
    assert keys.digest(value) == "723e168e7da41a1bd9eed72bbebd45fd51f11929f5daaba5a96ef068d4cba012"


def test_a_whole_number_and_a_float_of_equal_value_have_other_keys() -> None:
    assert keys.digest({"lr": 1}) != keys.digest({"lr": 1.0})
    assert keys.digest({"lr": True}) != keys.digest({"lr": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_say_has_no_key(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        keys.digest(number)


def shuffled(value: Any, order: Callable[[Sequence[str]], Sequence[str]]) -> Any:
    """The same tables with their keys in another order; lists keep theirs."""
    if isinstance(value, Mapping):
        return {key: shuffled(value[key], order) for key in order(sorted(value))}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(JSON, st.randoms(use_true_random=False))
def test_the_order_of_tables_is_in_no_key(value: Any, rng: Any) -> None:
    other = shuffled(value, lambda names: rng.sample(names, len(names)))
    assert keys.digest(other) == keys.digest(value)


@settings(deadline=None)
@given(JSON, JSON)
def test_only_equal_values_have_equal_keys(a: Any, b: Any) -> None:
    # repr tells 1 from 1.0 and True, which == does not.
    same = repr(shuffled(a, lambda names: names)) == repr(shuffled(b, lambda names: names))
    assert (keys.digest(a) == keys.digest(b)) == same


# Golden keys.


class QuickstartProbe:
    """What planning asks of MNIST-5k and LeNet-300-100, with a digest that is made up."""

    def data(self, chosen: DataChoice) -> DataInfo:
        return DataInfo("mnist5k", "0" * 64, {"train": 4_000, "valid": 500, "test": 500}, (1, 28, 28), 10)

    def model(self, chosen: ModelChoice, data: DataInfo, units: Any, task: Any) -> ModelInfo:
        counts = {"fc1.weight": 784 * 300, "fc2.weight": 300 * 100, "head.weight": 1_000}
        starts = (0, 235_200, 265_200)
        layers = tuple(Layer(name, start, count) for (name, count), start in zip(counts.items(), starts, strict=True))
        return ModelInfo(chosen.label, 266_610, layers)

    def first_step(self, chosen: ModelChoice, step: Any) -> str:
        return ""

    def ask_score(self, chosen: ModelChoice, scoring: Any) -> None:
        return None


def quickstart(**options: Any) -> Plan:
    benchmark = load(QUICKSTART, Catalogue.load(), seeds=[0], settings=["rounds=2"], **options)
    return make_plan(benchmark, QuickstartProbe())


def golden() -> dict[str, dict[str, list[str]]]:
    """The keys of each kind of phase in the order of the plan."""
    plans = {"toy": planned(), "quickstart, seed 0, 2 rounds": quickstart()}
    found: dict[str, dict[str, list[str]]] = {name: {} for name in plans}
    for name, plan in plans.items():
        for phase in plan.phases.values():
            found[name].setdefault(phase.kind, []).append(phase.key)
    return found


def test_keys_are_the_golden_ones() -> None:
    """See the top of this file for what to do where they are not."""
    assert golden() == json.loads(GOLDEN.read_text())


# What is in no key.


def planned(table: Mapping[str, Any] = TOY, probe: Probe | None = None, catalogue: Catalogue | None = None) -> Plan:
    benchmark = resolve(normalise(table), catalogue or toy_catalogue(), Path("toy.toml"))
    return make_plan(benchmark, probe or ToyProbe())


def changed(*changes: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The toy benchmark's table with others laid over it."""
    table = normalise(TOY)
    for change in (*changes, more):
        table = merge(table, normalise(change))
    return table


def keys_of(plan: Plan, *kinds: str) -> set[str]:
    return {key for key, phase in plan.phases.items() if not kinds or phase.kind in kinds}


BASE = keys_of(planned())
OF_THREE_SEEDS = keys_of(planned(changed(seeds=[0, 1, 2], rounds=1)))

HARMLESS = {
    "claim": st.text(max_size=5),
    "note": st.text(max_size=5),
    "execution": st.fixed_dictionaries(
        {},
        optional={
            "workers": st.integers(0, 4),
            "threads": st.integers(1, 4),
            "device": st.sampled_from(["auto", "cpu", "cuda"]),
            "checkpoint_seconds": st.floats(0, 100),
            "track": st.just("jsonl"),
        },
    ),
    "measure": st.fixed_dictionaries(
        {},
        optional={
            "every": st.sampled_from(["1it", "5it", "1ep", "50%"]),
            "at": st.lists(st.sampled_from(["0it", "3it", "1ep", "24it"]), unique=True),
            "splits": st.just(["test", "train"]),
            "train_sample": st.integers(1, 96),
        },
    ),
    "report": st.fixed_dictionaries(
        {},
        optional={
            "metric": st.sampled_from(["test/accuracy", "test/loss"]),
            "against": st.just("imp"),
            "alpha": st.floats(0.01, 0.5),
        },
    ),
    "expect": st.just([{"source": "s", "claim": "c", "better": "imp", "worse": "dense"}]),
}


@settings(deadline=None, max_examples=25)
@given(st.fixed_dictionaries({}, optional=HARMLESS))
def test_how_a_file_is_executed_measured_and_reported_is_in_no_key(change: dict[str, Any]) -> None:
    assert keys_of(planned(changed(change))) == BASE


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False), st.permutations([0, 1, 2]))
def test_the_order_of_tables_entries_and_seeds_and_the_names_of_entries_are_in_no_key(
    rng: Any, seeds: list[int]
) -> None:
    table = copy.deepcopy(changed(rounds=1))
    table["seeds"] = seeds
    for entry in table["entry"]:
        entry["name"] += str(rng.randrange(10))
    rng.shuffle(table["entry"])
    assert keys_of(planned(shuffled(table, lambda names: rng.sample(names, len(names))))) == OF_THREE_SEEDS


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(1, 5))
def test_a_chain_that_goes_on_for_longer_begins_with_the_same_phases(rounds: int, more: int) -> None:
    short, long = (keys_of(planned(changed(rounds=r))) for r in (rounds, rounds + more))
    assert short < long


@settings(deadline=None, max_examples=25)
@given(st.sets(st.sampled_from([0.80, 0.64, 0.52, 0.41]), min_size=1))
def test_the_densities_that_are_judged_select_phases_and_change_none(densities: set[float]) -> None:
    every = keys_of(planned(changed(rounds=4)))
    some = planned(changed(rounds=4, densities=sorted(densities)))
    assert keys_of(some) <= every
    assert len(keys_of(some, "prune")) == 4
    assert {e.round for t in some.trials if t.entry == "imp" for e in t.evaluations} == {
        {0.80: 1, 0.64: 2, 0.52: 3, 0.41: 4}[density] for density in densities
    }


def test_where_a_run_is_stopped_is_in_no_key_of_its_own() -> None:
    early = planned(changed(find={"stop": "12it"}))
    first = next(phase for phase in early.phases.values() if phase.kind == "train")
    assert first.key in BASE
    # What is pruned is another state of the same run, and so another prune phase.
    assert not keys_of(early, "prune") & BASE


def test_a_run_does_not_know_whether_it_finds_or_judges() -> None:
    plan = planned()
    dense, imp = plan.trials
    assert dense.evaluations[0].run.key in imp.finds
    assert imp.evaluations[0].run.key in imp.finds


def test_a_schedule_is_in_no_key_but_what_it_lays_out_is() -> None:
    def of(schedule: str, rounds: int) -> set[str]:
        return keys_of(planned(changed(rounds=rounds, entry=[{"name": "imp", "schedule": schedule}])))

    assert of("rewind", 1) == of("one-shot", 1)
    assert of("rewind", 2) != of("one-shot", 2)


# What is in a key: each field of each component, its version, and every field of a recipe.


class Gradient:
    """A loss term, a rule that changes the mask, a pruning and a fresh draw of weights, all of which do nothing."""

    def __init__(self, config: GradientConfig) -> None:
        pass

    @hookimpl
    def prunebench_loss_terms(self) -> list[Any]:
        return []

    @hookimpl
    def prunebench_mask_updates(self) -> list[Any]:
        return []

    @hookimpl
    def prunebench_prune(self) -> Any:
        raise AssertionError("planning prunes nothing")

    @hookimpl
    def prunebench_initialise(self, model: Any) -> Any:
        return model


class GradientConfig(ComponentConfig):
    strength: float = 1.0


WITH_ALL_SLOTS = toy_catalogue().with_components([Component("toy-all", GradientConfig, Gradient, version=1)], "tests")

TAKES_PART = {
    "task": {"train", "prune", "edit", "analyse"},
    "data": {"train", "prune", "analyse"},
    "model": {"init", "train", "prune", "edit", "analyse"},
    "init": {"init", "edit"},
    "units": {"train", "prune", "edit", "analyse"},
    "optimizer": {"train"},
    "lr": {"train"},
    "loss": {"train"},
    "mask_updates": {"train"},
    "transforms": {"train"},
    "score": {"prune"},
    "select": {"prune"},
    "prune": {"prune"},
    "ticket": {"edit"},
    "analyse": {"analyse"},
    "schedule": set(),
    "report": set(),
    "track": set(),
}
"""The kinds of phases whose keys hold the component of a slot."""


def with_slot(slot: str, use: Mapping[str, Any]) -> dict[str, Any]:
    """The toy benchmark with every kind of phase, and a component in a slot."""
    recipe: dict[str, Any] = {}
    entry: dict[str, Any] = {"name": "imp", "ticket": "shuffle-within-layer", "analyse": "layer-densities"}
    more: dict[str, Any] = {}
    if slot == "lr":
        plugin: Any = WITH_ALL_SLOTS.use(use).build()
        wraps = plugin.prunebench_lr.prunebench_impl["wrapper"]
        recipe["lr"] = ["constant", use] if wraps else [use]
    elif slot in ("optimizer", "loss", "mask_updates", "transforms"):
        recipe[slot] = use if slot == "optimizer" else [use]
    elif slot in ("data", "model"):
        more[slot] = [use]
    elif slot == "init":
        more["model"] = [{"use": "toy-net", "init": use}]
    elif slot == "report":
        more["report"] = {"also": [use]}
    elif slot == "track":
        more["execution"] = {"track": [use]}
    elif slot == "units":
        more["entry"] = [{"name": "dense", "units": use}]
        entry["units"] = use
    else:
        entry[slot] = [use] if slot in ("ticket", "analyse") else use
    if slot == "task":
        more["report"] = {"metric": "test/loss"}  # which every task has
    if use["use"] in ("n-of-m", "blocks", "sparsegpt", "sr-ste"):
        entry |= {"cut": 0.5, "rounds": 1}  # what a pattern leaves
    read = {name for _, name in entry_refs(WITH_ALL_SLOTS.use(use).config)} - {"dense", "imp"}
    others = [{**TOY["entry"][1], "name": name} for name in sorted(read)]
    return changed({"entry": [entry, *others], "train": recipe}, more)


def names(value: Any, component: str) -> bool:
    """Whether the description of a phase names a component."""
    if isinstance(value, Mapping):
        return value.get("use") == component or any(names(item, component) for item in value.values())
    return isinstance(value, list) and any(names(item, component) for item in value)


def descends(plan: Plan, phase: Phase, component: str) -> bool:
    """Whether a phase, or one that it builds on, names a component."""
    return names(to_json(phase.spec), component) or any(
        descends(plan, plan.phases[ref.key], component) for ref in phase.parents
    )


def assert_keyed(slot: str, component: str, base: Plan, other: Plan) -> None:
    """The phases in which a component takes part, and those built on them, have other keys; no others have."""
    part = {phase.kind for phase in base.phases.values() if names(to_json(phase.spec), component)}
    assert part <= TAKES_PART[slot]
    expected = {key for key, phase in base.phases.items() if descends(base, phase, component)}
    assert set(base.phases) - set(other.phases) == expected
    assert bool(part) == bool(expected) == bool(TAKES_PART[slot])


CANDIDATES: Sequence[Any] = (
    *(256, [0.25, 0.5, 0.5]),
    *("{find}-{evaluate}", "{evaluate}-{find}", ["1", "2"], ["1", "3"], "valid/loss", ["imp"]),
    *(True, False, 0.25, 0.5, 0.75, 2.0, 1, 2, 3, 5, "3it", "6it", "50%", "x", "dense", "imp", 0.0),
    *(
        [],
        ["3it"],
        ["6it"],
        ["x"],
        [0.25, 0.5],
        {"*": 0.5},
        {"x": 1},
        {"use": "adam"},
        ["conv"],
        ["cosine"],
        [2, 3],
        ["out"],
        ["bias"],
        ["predictions"],
        ["dense", "csr"],
        [3, 1],
        "1:2",
        "2:4",
        [0, 1, 2],
        "rand-m9",
    ),
)


ALSO: Mapping[str, Mapping[str, Any]] = {
    "sgd": {"momentum": 0.5},
    "match-lpr": {"of": "other"},
    "n-of-m": {"pattern": "1:2", "rest": "dense"},
    "blocks": {"shape": [3, 2]},
    "sr-ste": {"pattern": "1:2", "rest": "dense"},
    "lpr-at-epochs": {"density": 0.5},
    "threshold": {"runs": "find"},
    "distances": {"also": ["units"]},
    "repulsion": {"by": "activations"},
    "utility-ablation": {"ratios": [0.1]},
}
"""What some fields need beside them (Nesterov's momentum is one), and the entries that a component reads."""


NEEDS_TRUST = {"python"}
"""Components that no file may use unless the command says so; tests/plugins/own_code has their keys."""


def fitting(component: Component, field: str, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The table with another valid value of a field."""
    annotation = component.config.model_fields[field].annotation
    options = [option for option in get_args(annotation) if isinstance(option, str | int | float)]
    before = component.config.model_construct(**table)
    if not wrong_fields(component, table):
        before = component.config.model_validate(table)
    for value in (*options, *CANDIDATES):
        other = {**table, field: value}
        wrong = wrong_fields(component, other)
        # While the table is being filled, other fields may still be missing.
        if field not in wrong and (wrong or component.config.model_validate(other) != before):
            yield other


def wrong_fields(component: Component, table: Mapping[str, Any]) -> set[str]:
    """The fields for which a table is refused; all, where they do not fit each other."""
    try:
        component.config.model_validate(table)
    except ValidationError as error:
        return {name for item in error.errors() for name in (item["loc"][:1] or component.config.model_fields)}  # type: ignore[misc]
    return set()


def least(component: Component) -> dict[str, Any]:
    """A table with a value for each field that must be stated."""
    table: dict[str, Any] = dict(ALSO.get(component.name, {}))
    for name, field in component.config.model_fields.items():
        if field.is_required():
            table = next(fitting(component, name, table))
    return table


def slots_of(component: Component) -> list[str]:
    built = component.build(component.config.model_validate(least(component)))
    return [slot for slot, hook in SLOTS.items() if hasattr(getattr(built, hook, None), "prunebench_impl")]


def built_in() -> Iterator[tuple[str, Component]]:
    for provider in WITH_ALL_SLOTS.providers.values():
        if provider.component.name in NEEDS_TRUST:
            continue
        yield from ((slot, provider.component) for slot in slots_of(provider.component))


EVERY_FIELD = [
    pytest.param(slot, component, field, id=f"{slot}: {component.name}.{field}")
    for slot, component in built_in()
    if slot != "schedule"
    for field in component.config.model_fields
    # The toy's layers of 8 and 6 inputs have one pattern that leaves half of the units.
    if (component.name, field) != ("sr-ste", "pattern")
]


@pytest.mark.parametrize(("slot", "component", "field"), EVERY_FIELD)
def test_every_field_of_a_component_is_in_the_keys_of_the_phases_it_takes_part_in(
    slot: str, component: Component, field: str
) -> None:
    table = least(component)
    base = planned(with_slot(slot, {"use": component.name, **table}), catalogue=WITH_ALL_SLOTS)
    tried = []
    for other in fitting(component, field, table):
        tried.append(other)
        try:
            plan = planned(with_slot(slot, {"use": component.name, **other}), catalogue=WITH_ALL_SLOTS)
        except PrunebenchError:
            continue  # valid, but with no plan on this benchmark
        if field in component.config.measured:
            # It changes what is measured of the same runs.
            assert plan.phases.keys() == base.phases.keys()
            assert plan.curves.keys() - base.curves.keys()
            return
        assert_keyed(slot, component.name, base, plan)
        return
    pytest.fail(f"no other value of {component.name}.{field} is known here (tried {tried}): add one to CANDIDATES")


@pytest.mark.parametrize(
    ("slot", "component"), [pytest.param(s, c, id=f"{s}: {c.name}") for s, c in built_in() if s != "schedule"]
)
def test_the_version_of_a_component_is_in_the_keys_of_the_phases_it_takes_part_in(
    slot: str, component: Component
) -> None:
    table = with_slot(slot, {"use": component.name, **least(component)})
    newer = WITH_ALL_SLOTS.with_components([replace(component, version=component.version + 1)], "tests")
    base = planned(table, catalogue=WITH_ALL_SLOTS)
    assert_keyed(slot, component.name, base, planned(table, catalogue=newer))


def test_every_slot_is_tried() -> None:
    assert set(TAKES_PART) == set(SLOTS)
    assert {slot for slot, _ in built_in()} >= set(SLOTS) - {"report"}


RECIPE: dict[str, Any] = {
    "horizon": "30it",
    "batch": 16,
    "optimizer": {"lr": 0.2},
    "lr": ["cosine"],
    "loss": ["toy-all"],
    "mask_updates": ["toy-all"],
    "transforms": ["random-erasing"],
    "accumulate": 2,
    "average": 0.9,
    "label_smoothing": 0.1,
    "max_gradient_norm": 1.0,
    "numerics": "bf16",
    "memory_format": "channels_last",
    "compile": True,
    "optimizer_state": "with-weights",
    "stop": "12it",
}
"""Another value for each field of a recipe."""


def late(**recipes: Any) -> Plan:
    """A plan with a late rewind, whose tickets may take an optimizer's state along."""
    entry = {"name": "imp", "schedule": {"use": "rewind", "to": "8it"}}
    return planned(changed(entry=[entry], **recipes), catalogue=WITH_ALL_SLOTS)


def test_every_field_of_a_recipe_has_another_value_here() -> None:
    # What a mask does to its own run: tests/engine/test_stretching.py and test_shrunk_training.py have these.
    others = {"shrunk"}
    assert set(RECIPE) == set(table_keys(Recipe)) - others


@pytest.mark.parametrize("field", sorted(set(RECIPE) - {"stop", "optimizer_state"}))
def test_every_field_of_a_recipe_is_in_the_keys_of_its_runs(field: str) -> None:
    base = late()
    assert not keys_of(late(train={field: RECIPE[field]}), "train") & keys_of(base)
    # The find recipe alone: the run that judges the last ticket descends from other runs, so it differs, too.
    assert not keys_of(late(find={field: RECIPE[field]}), "prune") & keys_of(base)
    # The evaluation recipe alone changes how tickets are judged, and no ticket.
    judged = late(evaluate={field: RECIPE[field]})
    assert keys_of(judged, "init", "prune") == keys_of(base, "init", "prune")
    assert not {e.run.key for t in judged.trials for e in t.evaluations} & keys_of(base)


def test_the_state_of_the_optimizer_is_in_the_keys_of_the_runs_that_start_with_one() -> None:
    fresh, taken = (
        next(t for t in late(train=r).trials if t.entry == "imp") for r in ({}, {"optimizer_state": "with-weights"})
    )
    assert len(fresh.finds & taken.finds) == 1  # the first run, which starts with none
    assert fresh.evaluations[0].run.key != taken.evaluations[0].run.key


def test_equal_points_written_in_other_units_are_the_same_run() -> None:
    # 12 steps of 8 images are an epoch of the toy data's 96.
    assert keys_of(planned(changed(train={"horizon": "2ep"}))) == BASE
    warm = [{"lr": ["constant", {"use": "warmup", "over": over}]} for over in ("12it", "1ep", "50%")]
    assert len({frozenset(keys_of(planned(changed(train=recipe)))) for recipe in warm}) == 1


class OtherData(ToyProbe):
    """The toy data with one pixel changed."""

    def data(self, chosen: DataChoice) -> DataInfo:
        return replace(super().data(chosen), digest="0" * 64)


def test_the_digest_of_the_data_is_in_the_keys_of_all_that_read_it() -> None:
    other = planned(probe=OtherData())
    assert keys_of(other, "init") == keys_of(planned(), "init")
    assert not keys_of(other, "train", "prune") & BASE


def test_a_seed_has_no_phase_in_common_with_another() -> None:
    assert not keys_of(planned(changed(seeds=[1]))) & BASE


def test_the_version_of_the_engine_is_in_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.plan.phases.ENGINE_VERSION", 1_000)
    assert not keys_of(planned()) & BASE


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n")
