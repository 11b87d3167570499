"""Specs of phases: written to JSON and to the text that is hashed, read back, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import Position
from prunebench.api import keys
from prunebench.api.errors import ContractError
from prunebench.api.planning import Ref
from prunebench.api.recipe import Recipe
from prunebench.api.strict import table_keys
from prunebench.plan.curves import CurveSpec
from prunebench.plan.json_values import canonical, from_json, to_json
from prunebench.plan.phases import ENGINE_VERSION, Phase
from prunebench.plan.specs import (
    ComponentSpec,
    InitSpec,
    JointPruneSpec,
    LoadSpec,
    ModelSpec,
    PhaseSpec,
    PruneSpec,
    RecipeSpec,
    TrainSpec,
    WeightFile,
    refs_of,
)
from prunebench.testing import toy_plan

EVERYTHING: dict[str, Any] = {
    "entry": [
        {
            "name": "imp",
            "schedule": {"use": "rewind", "to": "6it"},
            "loss": ["repulsion"],
            "ticket": ["shuffle-within-layer", {"use": "noise", "sigmas": 1.0}],
            "analyse": ["layer-densities", "distances"],
        },
        {"name": "dynamic", "extends": "imp", "loss": [], "evaluate": {"mask_updates": ["set"]}, "analyse": []},
        {
            "name": "stretched",
            "extends": "imp",
            "loss": [],
            "analyse": [],
            "evaluate": {"horizon": {"of": "24it", "times": "macs-ratio", "at_most": 2.0}, "max_gradient_norm": 1.0},
        },
    ],
    "train": {"lr": ["constant", {"use": "warmup", "over": "2%"}], "optimizer_state": "with-weights"},
    "rounds": 3,
}
"""Every kind of phase, and every field of their specs."""


@cache
def phases() -> list[Phase]:
    model = ModelSpec("net", 1, {"name": "é"}, (1, 2, 4), 3)
    loaded = LoadSpec(model, WeightFile("resnet.safetensors", "0" * 64))
    planned = list(toy_plan(EVERYTHING).phases.values())
    pruned = next(phase.spec for phase in planned if isinstance(phase.spec, PruneSpec))
    joint = JointPruneSpec(
        weights=pruned.weights,
        mask=pruned.mask,
        prune=pruned.score,
        task=pruned.task,
        model=pruned.model,
        units=pruned.units,
        count=pruned.count,
        streams=pruned.streams,
    )
    asking = replace(joint, data=pruned.data, cut=0.2, round=1, updates=("*.bias",))
    return [*planned, Phase.of(joint), Phase.of(asking), Phase.of(loaded)]


def test_every_kind_of_spec_is_tried_here() -> None:
    assert {type(phase.spec) for phase in phases()} == set(get_args(PhaseSpec))
    runs = [phase.spec for phase in phases() if isinstance(phase.spec, TrainSpec)]
    for field in ("mask", "optimizer_state", "loss", "mask_updates", "units", "count", "stretch"):
        assert {bool(getattr(run, field)) for run in runs} == {False, True}


def test_the_text_that_is_hashed_is_the_canonical_json() -> None:
    for phase in phases():
        hashed = {**to_json(phase.spec), "phase": phase.kind, "engine": ENGINE_VERSION}
        assert canonical(phase.spec) == keys.canonical(to_json(phase.spec))
        assert phase.key == keys.digest(hashed)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_plain_json_has_one_canonical_text(value: Any) -> None:
    assert canonical(value) == keys.canonical(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_say_has_no_text(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"strength": number})


def test_a_phase_survives_json() -> None:
    for phase in phases():
        again = Phase.from_json(json.loads(json.dumps(phase.to_json())))
        assert (again.key, again.kind, again.parents) == (phase.key, phase.kind, phase.parents)
        assert again.spec == phase.spec


def test_a_curves_description_survives_json() -> None:
    spec = CurveSpec(
        task=ComponentSpec("classification", 1, {}), every=None, at=(3, 24), splits=("test",), train_sample=None
    )
    assert from_json(CurveSpec, json.loads(json.dumps(to_json(spec))), "curve") == spec


def test_parents_are_the_outputs_that_a_spec_names() -> None:
    for phase in phases():
        assert set(phase.parents) == set(named(to_json(phase.spec)))


def named(value: Any) -> Iterator[Ref]:
    """Every reference in plain JSON, wherever it stands."""
    if isinstance(value, dict) and value.keys() == {"key", "part", "at", "detail"}:
        yield Ref.from_json(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from named(item)


def test_the_weights_of_a_file_have_no_parents_and_no_seed() -> None:
    spec = phases()[-1].spec
    assert refs_of(spec) == []
    assert set(to_json(spec)) == {"model", "weights"}


def test_a_position_is_written_as_a_person_writes_it() -> None:
    assert canonical((Position.parse("2%"), Position.parse("0.5ep"))) == '["2%","0.5ep"]'


# What arrives from elsewhere is checked.


def description(**changes: Any) -> dict[str, Any]:
    first = next(phase for phase in phases() if isinstance(phase.spec, InitSpec))
    data: dict[str, Any] = json.loads(json.dumps(first.to_json()))
    return {**data, **changes}


def test_a_phase_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = description()
    monkeypatch.setattr("prunebench.plan.phases.ENGINE_VERSION", 1_000)
    with pytest.raises(ContractError, match=r"phase \w{12} \(init\): its key is \w{12} here: another version"):
        Phase.from_json(data)


def test_a_spec_that_was_changed_on_the_way_is_refused() -> None:
    first = next(phase for phase in phases() if isinstance(phase.spec, InitSpec))
    assert isinstance(first.spec, InitSpec)
    other = replace(first.spec, streams=replace(first.spec.streams, seed=7))
    with pytest.raises(ContractError, match="its key is"):
        Phase.from_json(description(spec=to_json(other)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phase": "dream"}, r"phase \w{12} \(dream\): there is no such kind of phase"),
        ({"phase": "train"}, r"phase \w{12} \(train\): weights: Field required"),
        ({"spec": {}}, "Field required"),
        ({"spec": []}, r"phase \w{12} \(init\)"),
    ],
)
def test_what_is_no_phase_is_refused_with_what_is_wrong_of_it(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Phase.from_json(description(**change))


def test_every_key_of_a_recipe_is_in_the_key_of_a_run_or_known_to_be_elsewhere() -> None:
    # In no key: where a run is stopped. With their inputs: loss terms and mask updates. Where active: the rest.
    elsewhere = {"stop", "loss", "mask_updates", "optimizer_state", "shrunk"}
    assert {field.name for field in fields(RecipeSpec)} == set(table_keys(Recipe)) - elsewhere
