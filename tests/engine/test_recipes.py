"""Finding and judging under different recipes, carried out: any field may differ, early pruning, warm-up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.toy_runs import Workshop, rows, run
from prunebench.api.planning import Run
from prunebench.api.recipe import Recipe
from prunebench.api.strict import table_keys
from prunebench.plan.specs import TrainSpec

OTHER: Mapping[str, Any] = {
    "horizon": "20it",
    "stop": "12it",
    "batch": 16,
    "optimizer": {"use": "adam", "lr": 0.01},
    "lr": ["cosine"],
    "loss": [{"use": "squares", "strength": 0.05}],
    "mask_updates": ["regrow"],
    "transforms": ["random-erasing"],
    "accumulate": 2,
    "average": 0.5,
    "label_smoothing": 0.1,
    "max_gradient_norm": 0.5,
    "numerics": "bf16",
    "memory_format": "channels_last",
    "optimizer_state": "with-weights",
}
"""Another value for each field of a recipe than that of the toy benchmark."""

SCHEDULES: Mapping[str, Any] = {
    "rewind": "rewind",
    "late rewind": {"use": "rewind", "to": "4it"},
    "lr-rewind": {"use": "lr-rewind", "to": "4it"},
    "continue": "continue",
    "one-shot": "one-shot",
    "fine-tune": {"use": "fine-tune", "over": "6it", "optimizer": {"use": "sgd", "lr": 0.01}},
}


def imp(**changes: Any) -> dict[str, Any]:
    return {"entry": [{"name": "imp", **changes}]}


def carried_out(store: Path, changes: Mapping[str, Any]) -> Workshop:
    """The workshop of a benchmark of which every row is well."""
    outcome = run(store, changes)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    return Workshop(store, changes)


def runs(workshop: Workshop) -> tuple[list[TrainSpec], list[TrainSpec]]:
    """What the keys of the runs hold that lead to the tickets, and of those that judge them."""
    phases, chain = workshop.chain.phases.by_key, workshop.chain
    masks = [ticket.mask for ticket in chain.tickets if ticket.mask is not None]
    finds = [phases[phases[mask.key].spec.weights.key].spec for mask in masks]
    judged = [chain.evaluate(t).key for t in chain.tickets[1:]]
    return finds, [phases[key].spec for key in judged]


def differing(a: TrainSpec, b: TrainSpec) -> set[str]:
    """The fields of a recipe in which two runs differ."""

    def fields(spec: TrainSpec) -> dict[str, Any]:
        recipe = {field.name: getattr(spec.recipe, field.name) for field in dataclasses.fields(spec.recipe)}
        return {**recipe, "loss": spec.loss, "mask_updates": spec.mask_updates}

    return {field for field, value in fields(a).items() if value != fields(b)[field]}


def test_every_field_of_a_recipe_is_tried_here() -> None:
    # What a mask does to its own run: tests/engine/test_stretching.py and test_shrunk_training.py have these.
    # Compiling takes many seconds: tests/engine/test_numerics.py has it.
    others = {"shrunk", "compile"}
    assert set(OTHER) == set(table_keys(Recipe)) - others


@pytest.mark.parametrize("side", ["find", "evaluate"])
@pytest.mark.parametrize("field", sorted(set(OTHER) - {"stop", "optimizer_state"}))
def test_the_recipes_may_differ_in_any_field(store_path: Path, side: str, field: str) -> None:
    workshop = carried_out(store_path, imp(**{side: {field: OTHER[field]}}))
    plain = Workshop(store_path)
    (finds, judged), (finds_before, judged_before) = runs(workshop), runs(plain)
    same, changed = ((judged, judged_before), (finds, finds_before))[:: 1 if side == "find" else -1]
    assert [differing(a, b) for a, b in zip(*same, strict=True)] == [set(), set()]
    assert [differing(a, b) for a, b in zip(*changed, strict=True)] == [{field}, {field}]


@pytest.mark.parametrize("side", ["find", "evaluate"])
def test_the_optimizers_state_may_be_taken_along_in_one_of_the_two(store_path: Path, side: str) -> None:
    late = {"use": "rewind", "to": "4it"}
    workshop = carried_out(store_path, imp(schedule=late, **{side: {"optimizer_state": "with-weights"}}))
    finds, judged = ([spec.optimizer_state is not None for spec in specs] for specs in runs(workshop))
    assert (finds, judged) == (([False, True], [False] * 2) if side == "find" else ([False] * 2, [True] * 2))


def test_judging_may_stop_early_where_finding_does_not(store_path: Path) -> None:
    workshop = carried_out(store_path, imp(evaluate={"stop": "12it"}))
    chain = workshop.chain
    assert [ticket.mask for ticket in chain.tickets] == [t.mask for t in Workshop(store_path).chain.tickets]
    judged = chain.evaluate(chain.tickets[1])
    assert (judged.start, judged.stop) == (0, 12)


# Early pruning.


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_mask_may_be_found_early_and_is_judged_in_full(store_path: Path, schedule: str) -> None:
    workshop = carried_out(store_path, imp(schedule=SCHEDULES[schedule], find={"stop": "12it"}))
    chain = workshop.chain
    ticket = chain.tickets[1]
    assert ticket.mask is not None
    pruned = chain.phases.by_key[ticket.mask.key].spec.weights
    dense = chain.evaluate(chain.dense)
    assert (pruned.key, pruned.at) == (dense.key, 12)  # a point of the run that goes on to the horizon
    # Global magnitude of that state, by a stable sort.
    weights = workshop.weights(pruned)
    flat = torch.cat([weights[name].flatten().abs() for name in ("1.weight", "3.weight")])
    highest = flat.sort(descending=True, stable=True).indices[:53]
    assert workshop.mask(ticket.mask).flat().nonzero().flatten().tolist() == sorted(highest.tolist())
    judged = chain.evaluate(ticket)
    assert judged.stop == (30 if schedule == "fine-tune" else 24)


def test_pruning_at_several_points_of_the_find_run_trains_it_once(store_path: Path) -> None:
    stops = {f"at-{stop}": f"{stop}it" for stop in (4, 8, 12, 24)}
    entries = [{"name": name, "extends": "imp", "rounds": 1, "find": {"stop": stop}} for name, stop in stops.items()]
    changes = {"entry": [{"name": "imp", "rounds": 1}, *entries]}
    carried_out(store_path, changes)
    chains = [Workshop(store_path, changes, entry=name).chain for name in stops]
    pruned = [c.phases.by_key[t.mask.key].spec.weights for c in chains for t in c.tickets[1:] if t.mask is not None]
    assert len({state.key for state in pruned}) == 1
    assert [state.at for state in pruned] == [4, 8, 12, 24]


# Warm-up.


WARM = ["constant", {"use": "warmup", "over": "5it"}]


def step(workshop: Workshop, run_: Run) -> dict[str, torch.Tensor]:
    """How far the first step of a run moves each weight."""
    ref = run_.at("1it")
    workshop.make(ref)
    before, after = workshop.weights(workshop.chain.dense.weights), workshop.weights(ref)
    return {name: after[name].double() - before[name].double() for name in before}


@pytest.mark.parametrize("schedule", ["rewind", "lr-rewind", "continue", "one-shot"])
def test_warm_up_may_be_for_finding_alone(store_path: Path, schedule: str) -> None:
    workshop = carried_out(store_path, imp(schedule=schedule, find={"lr": WARM}))
    finds, judged = runs(workshop)
    assert {tuple(piece.use for piece in spec.recipe.lr) for spec in finds} == {("constant", "warmup")}
    assert {tuple(piece.use for piece in spec.recipe.lr) for spec in judged} == {("constant",)}
    # From the same weights on the same batch, with no momentum yet: a fifth of the rate is a fifth of the way.
    chain = workshop.chain
    find, evaluate = (chain.evaluate(chain.dense, r) for r in (workshop.recipes.find, workshop.recipes.evaluate))
    slow, full = step(workshop, find), step(workshop, evaluate)
    assert any(float(moved.abs().max()) > 1e-3 for moved in full.values())
    assert all(torch.allclose(5 * slow[name], full[name], atol=1e-6) for name in full)
