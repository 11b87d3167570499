from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.toy_runs import Workshop, prepared, rows, run, text
from prunebench.api.planning import Run
from prunebench.runner.publishing import write

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
WILD = {"optimizer": {"use": "sgd", "lr": 1e30, "momentum": 0.9}}
GROWS = {"optimizer": {"use": "sgd", "lr": 1.0, "momentum": 0.0}, "loss": [{"use": "squares", "strength": -2.0}]}
"""A recipe under which weights triple in every step, until they overflow."""


def dense(workshop: Workshop) -> Run:
    return workshop.chain.find(workshop.chain.dense, 1)


# Divergence.


@pytest.fixture
def mixed() -> dict[str, Any]:
    """A sound entry, one whose find runs diverge, one whose evaluation does."""
    return {
        "entry": [
            {"name": "dense", "units": "toy-units"},
            {"name": "wild", **IMP, "train": WILD, "analyse": ["layer-densities", "norms"]},
            {"name": "wild-at-the-end", **IMP, "evaluate": WILD, "analyse": ["layer-densities", "norms"]},
        ]
    }


def test_divergence_is_an_outcome_of_the_trial_and_of_all_that_rests_on_it(
    store_path: Path, mixed: dict[str, Any]
) -> None:
    outcome = run(store_path, mixed)
    assert outcome.failed == {}
    assert outcome.execution.failed == {}
    assert {row["outcome"] for row in rows(outcome, entry="dense")} == {"ok"}
    wild = rows(outcome, entry="wild")
    assert {row["outcome"] for row in wild} == {"diverged"}
    assert {row["value"] for row in wild} == {None}
    assert {(row["round"], row["role"]) for row in wild} == {(1, "evaluate"), (2, "evaluate"), (None, "analyse")}
    assert {(row["split"], row["metric"]) for row in wild if row["role"] == "evaluate"} == {
        (split, metric) for split in ("train", "valid", "test") for metric in ("accuracy", "loss")
    }


def test_where_only_the_evaluation_diverges_the_masks_are_sound(store_path: Path, mixed: dict[str, Any]) -> None:
    outcome = run(store_path, mixed)
    found = rows(outcome, entry="wild-at-the-end")
    judged = [row for row in found if row["role"] == "evaluate"]
    assert {row["outcome"] for row in judged} == {"diverged"}
    assert {row["density"] for row in judged} == {53 / 66, 42 / 66}
    assert all(row["density_all"] is not None for row in judged)
    densities = [row for row in found if row["metric"].startswith("layer-densities/")]
    assert {row["outcome"] for row in densities} == {"ok"}
    assert [row["outcome"] for row in found if row["metric"] == "norms"] == ["diverged"]


def test_a_diverged_trial_is_not_computed_again(store_path: Path, mixed: dict[str, Any]) -> None:
    first = run(store_path, mixed)
    again = run(store_path, mixed)
    assert again.execution.done == 0
    assert text(again) == text(first)


def test_a_leaderboard_is_written_of_diverged_trials(store_path: Path, tmp_path: Path, mixed: dict[str, Any]) -> None:
    ready = prepared(store_path, mixed)
    outcome = run(store_path, mixed)
    write(ready, outcome, tmp_path / "board")
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == text(outcome)


@pytest.mark.parametrize("recipe", [WILD, GROWS], ids=["at once", "by and by"])
def test_the_iteration_of_divergence_does_not_depend_on_where_points_are_asked(
    tmp_path: Path, recipe: dict[str, Any]
) -> None:
    iterations = set()
    ways: list[dict[str, Any]] = [{}, {"every": 1}, {"every": 7}, {"at": [1, 2, 30]}, {"every": 50}]
    for number, how in enumerate(ways):
        workshop = Workshop(tmp_path / str(number), train={"horizon": "200it", **recipe})
        curve = workshop.curve(dense(workshop), **how)
        workshop.make(curve)
        meta = workshop.store.get(curve.address).meta
        assert meta["outcome"] == "diverged"
        iterations.add(meta["iteration"])
    assert len(iterations) == 1
    assert iterations < set(range(1, 100))


def test_divergence_is_the_same_after_a_resume(tmp_path: Path) -> None:
    found = []
    for places in ([], [3, 20]):
        workshop = Workshop(tmp_path / str(len(places)), train={"horizon": "200it", **GROWS})
        run = dense(workshop)
        for place in places:
            workshop.make(run.at(f"{place}it"))
            assert "outcome" not in workshop.store.get(run.at(f"{place}it").address).meta
        workshop.make(run.end)
        found.append(workshop.store.get(run.end.address).meta)
    assert found[0] == found[1]


def test_states_before_the_divergence_are_sound_and_those_after_are_diverged(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "once", train={"horizon": "200it", **GROWS})
    run = dense(workshop)
    workshop.make(run.end)
    iteration = workshop.store.get(run.end.address).meta["iteration"]
    before, at, after = (run.at(f"{iteration + step}it") for step in (-1, 0, 1))
    workshop.make(before, at, after)
    assert all(bool(weight.isfinite().all()) for weight in workshop.weights(before).values())
    assert workshop.store.get(after.address).meta == {"outcome": "diverged", "iteration": iteration}
    # Its weights are what the last step left; the loss on them is what is not finite.
    meta = workshop.store.get(at.address).meta
    assert meta == {"outcome": "diverged", "iteration": iteration} or all(
        bool(weight.isfinite().all()) for weight in workshop.weights(at).values()
    )


def test_weights_that_the_last_step_broke_are_diverged(store_path: Path) -> None:
    # The loss of the only step is finite; what it leaves is not.
    workshop = Workshop(
        store_path,
        train={
            "horizon": "1it",
            "optimizer": {"use": "sgd", "lr": 3e38, "momentum": 0.0},
            "loss": [{"use": "squares", "strength": 10.0}],
        },
    )
    run = dense(workshop)
    curve = workshop.curve(run)
    workshop.make(run.end, curve)
    for ref in (run.end, curve):
        assert workshop.store.get(ref.address).meta == {"outcome": "diverged", "iteration": 1}


def test_a_measured_loss_that_overflows_has_no_value_and_says_so(store_path: Path) -> None:
    # One step: finite weights, so large that the next loss is infinite.
    outcome = run(
        store_path,
        train={"horizon": "1it", "optimizer": {"use": "sgd", "lr": 1e30, "momentum": 0.0}},
        measure={"every": "1it"},
    )
    assert outcome.failed == {}
    losses = rows(outcome, entry="dense", metric="loss")
    assert {(row["value"], row["outcome"]) for row in losses} == {(None, "diverged")}
    assert {row.value for row in outcome.rows if row.metric == "early_stop_iteration"} == {0.0}


# Layer collapse.

COLLAPSES = {
    "cut": 0.5,
    "rounds": 3,
    "entry": [
        {"name": "dense", "units": "toy-units"},
        {"name": "last", **IMP, "score": {"use": "odd-score", "kind": "last-layer"}, "analyse": ["layer-densities"]},
    ],
}
"""Layers are pruned from the first on: 66, 33, 17 and 8 units, of which the last layer holds 18."""


@pytest.mark.parametrize("model", [{"use": "toy-net"}, {"use": "net", "kind": "dropout"}])
def test_a_layer_without_units_is_recorded_as_collapsed(store_path: Path, model: dict[str, Any]) -> None:
    outcome = run(store_path, COLLAPSES, model=model)
    assert outcome.failed == {}
    by_round = {row["round"]: row["outcome"] for row in rows(outcome, entry="last", role="evaluate")}
    assert by_round == {1: "ok", 2: "collapsed", 3: "collapsed"}
    assert all(row["value"] is not None for row in rows(outcome, entry="last"))
    # An analysis of a collapsed trial is sound: it says what collapsed.
    (gone,) = [
        r for r in rows(outcome, role="analyse", round=3) if r["metric"] == "layer-densities/layer_density/1.weight"
    ]
    assert (gone["value"], gone["outcome"]) == (0.0, "ok")


def test_an_empty_layer_beside_a_skip_is_told_and_is_no_collapse(store_path: Path) -> None:
    # 88 units, 64 of them of the branch: after three rounds 11 are left, all of them of the head.
    outcome = run(store_path, COLLAPSES, model={"use": "net", "kind": "skip"})
    judged = rows(outcome, entry="last", role="evaluate")
    assert {row["outcome"] for row in judged} == {"ok"}
    assert {row["round"]: row.get("empty_layers", 0) for row in judged} == {1: 0, 2: 1, 3: 1}


def test_layers_of_which_a_score_says_nothing_are_named(store_path: Path) -> None:
    outcome = run(
        store_path,
        COLLAPSES,
        model={"use": "net", "kind": "gated"},
        entry=[
            {"name": "snip", **IMP, "schedule": "at-init", "score": "snip"},
            {"name": "imp", **IMP},
        ],
    )
    by_entry = {row["entry"]: row.get("unscored_layers", []) for row in rows(outcome, role="evaluate", round=1)}
    assert (by_entry["snip"], by_entry["imp"]) == (["branch.weight"], [])


def test_a_network_that_no_mask_cuts_but_that_is_dead_has_collapsed(store_path: Path) -> None:
    outcome = run(store_path, COLLAPSES, model={"use": "net", "kind": "dead"})
    judged = rows(outcome, role="evaluate")
    assert {row["outcome"] for row in judged} == {"collapsed"}
    assert "empty_layers" not in rows(outcome, entry="last", role="evaluate", round=1)[0]


def test_a_channel_without_weights_passes_batch_norm(store_path: Path) -> None:
    changes = {**COLLAPSES, "model": {"use": "net", "kind": "batch-norm"}}
    outcome = run(store_path, changes)
    assert outcome.failed == {}
    judged = rows(outcome, entry="last", role="evaluate")
    assert all(row["value"] is not None for row in judged)
    assert {row["round"]: row["outcome"] for row in judged} == {1: "collapsed", 2: "collapsed", 3: "collapsed"}
    workshop = Workshop(store_path, changes, entry="last")
    last = workshop.chain.evaluate(workshop.chain.tickets[3])
    workshop.make(last.end)
    weights = workshop.weights(last.end)
    assert not bool(weights["0.weight"].any())
    assert all(bool(torch.isfinite(weight).all()) for weight in weights.values())
