"""Scores, selections, ticket edits and analyses, held to their contracts by the engine."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy_runs import TESTS, Workshop, bits, open_store, prepared, rows, run
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Scores
from prunebench.engine.phases.checks import check_mask, check_scores
from prunebench.engine.workbench import mask_meta, pack_mask, unpack_mask
from prunebench.store.tensors import dump_tensors, load_tensors
from prunebench.testing import same, some_mask, two_layer_net, weight_units


def imp(**changes: Any) -> dict[str, Any]:
    """The toy benchmark's entry "imp" with some components changed."""
    entry = {"name": "imp", "schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
    return {"entry": [{"name": "dense", "units": "toy-units"}, {**entry, **changes}]}


def failure(store: Path, **changes: Any) -> str:
    """The error of the one trial that fails, held to have failed alone."""
    outcome = run(store, imp(**changes))
    assert {row["outcome"] for row in rows(outcome, entry="dense")} == {"ok"}
    assert list(outcome.failed) == ["imp, toy-net, toy-data, seed 0"]
    assert outcome.failed["imp, toy-net, toy-data, seed 0"] in set(outcome.execution.failed.values())
    return outcome.failed["imp, toy-net, toy-data, seed 0"]


# Contracts.


@pytest.mark.parametrize(
    ("score", "error"),
    [
        (
            {"kind": "short"},
            "score odd-score (parts 1.0), round 1: it scored 65 units of 66 (layer 1.weight: 47 of 48)",
        ),
        ({"kind": "nan", "round": 2}, "score odd-score (parts 1.0), round 2: NaN among the scores of layer 3.weight"),
        (
            {"kind": "whole"},
            "score odd-score (parts 1.0), round 1: the scores of layer 1.weight are torch.int64, not floats",
        ),
        ({"kind": "nothing"}, "score odd-score (parts 1.0), round 1: it returned NoneType, not Scores"),
        (
            {"kind": "meddles"},
            "score odd-score (parts 1.0), round 1: it changed the model; scores only read it",
        ),
    ],
)
def test_a_score_that_breaks_its_contract_is_named(store_path: Path, score: dict[str, Any], error: str) -> None:
    assert failure(store_path, score={"use": "odd-score", **score}) == error


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("one-more", "select odd-select (parts 1.0), round 1: it kept 54 units; 53 were asked for"),
        ("list", "select odd-select (parts 1.0), round 1: it returned list, not a Mask"),
        ("other-sizes", "select odd-select (parts 1.0), round 1: the mask's layers do not have the units' sizes"),
        ("revives", "select odd-select (parts 1.0), round 2: it revived 2 pruned units of layer 1.weight"),
        (
            "writes-into-the-mask",
            "select odd-select (parts 1.0), round 2: it revived 10 pruned units of layer 1.weight",
        ),
    ],
)
def test_a_selection_that_breaks_its_contract_is_named(store_path: Path, kind: str, error: str) -> None:
    assert failure(store_path, select={"use": "odd-select", "kind": kind}) == error


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("drops-a-unit", "ticket odd-edit (parts 1.0), round 1: it kept 52 units; 53 were asked for"),
        ("reshapes", "ticket odd-edit (parts 1.0), round 1: the weights' names or shapes changed"),
        ("nothing", "ticket odd-edit (parts 1.0), round 1: it returned NoneType, not a Ticket"),
        ("forgets-the-mask", "ticket odd-edit (parts 1.0), round 1: it returned NoneType, not a Mask"),
    ],
)
def test_a_ticket_edit_that_breaks_its_contract_is_named(store_path: Path, kind: str, error: str) -> None:
    assert failure(store_path, ticket=[{"use": "odd-edit", "kind": kind}]) == error


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("nan", "analysis norms (parts 1.0): norm of round 1 is nan"),
        ("list", "analysis norms (parts 1.0): it returned list, not an Analysis"),
    ],
)
def test_an_analysis_that_breaks_its_contract_is_named(store_path: Path, kind: str, error: str) -> None:
    assert failure(store_path, analyse=[{"use": "norms", "kind": kind}]).startswith(error)


def test_a_failed_analysis_leaves_the_judged_runs_alone(store_path: Path) -> None:
    outcome = run(store_path, imp(analyse=[{"use": "norms", "kind": "nan"}, "layer-densities"]))
    found = rows(outcome, entry="imp")
    assert {row["outcome"] for row in found if row["role"] == "evaluate"} == {"ok"}
    assert {row["outcome"] for row in found if row["metric"].startswith("layer-densities/")} == {"ok"}
    (failed,) = [row for row in found if row["outcome"] == "failed"]
    assert (failed["metric"], failed["value"], failed["round"]) == ("norms", None, None)


def test_infinite_scores_are_scores() -> None:
    units = weight_units(two_layer_net())
    values = units.reduce(lambda name, weight: torch.full_like(weight, float("inf")))
    check_scores(values, units, "score")
    with pytest.raises(ContractError, match="NaN among the scores of layer fc1"):
        check_scores(Scores(tuple(v * 0 for v in values.values)), units, "score")


def test_a_mask_is_checked_against_what_was_alive() -> None:
    units = weight_units(two_layer_net())
    alive = some_mask(units, 20)
    check_mask(some_mask(units, 10, of=alive), alive, 10, units, "select")
    dead = Mask(tuple(~keep for keep in alive.keep))
    with pytest.raises(ContractError, match="revived"):
        check_mask(some_mask(units, 10, of=dead), alive, 10, units, "select")


# What they yield.


def test_fixed_scores_give_the_recorded_masks(store_path: Path) -> None:
    recorded = json.loads((TESTS / "golden" / "masks.json").read_text())
    changes = imp(score={"use": "odd-score", "kind": "ramp"})
    run(store_path, changes, rounds=4)
    workshop = Workshop(store_path, changes, rounds=4)
    found = []
    for ticket in workshop.chain.tickets[1:]:
        assert ticket.mask is not None
        mask = workshop.mask(ticket.mask)
        found.append(["".join("01"[int(kept)] for kept in layer) for layer in mask.keep])
        assert mask.count == ticket.count
    assert found == recorded


def test_masks_are_nested_and_have_the_planned_counts(store_path: Path) -> None:
    run(store_path, rounds=6)
    workshop = Workshop(store_path, rounds=6)
    masks = [workshop.mask(ticket.mask) for ticket in workshop.chain.tickets[1:] if ticket.mask is not None]
    assert [mask.count for mask in masks] == [53, 42, 34, 27, 22, 17]
    assert all(later.issubset(earlier) for earlier, later in pairwise(masks))


def test_magnitude_keeps_the_largest_weights_of_the_end_of_the_run(workshop: Workshop) -> None:
    ticket = workshop.chain.tickets[1]
    assert ticket.mask is not None
    trained = workshop.chain.find(workshop.chain.dense, 1)
    workshop.make(ticket.mask, trained.end)
    weights = workshop.weights(trained.end)
    flat = torch.cat([weights[name].flatten() for name in ("1.weight", "3.weight")]).abs()
    kept = workshop.mask(ticket.mask).flat()
    assert flat[kept].min() > flat[~kept].max()


def test_a_selection_that_asks_for_no_cut_has_none_in_its_key(store_path: Path) -> None:
    keys = {Workshop(store_path, imp(), cut=cut, rounds=1).chain.counts for cut in (0.2, 0.2001)}
    assert keys == {(66, 53)}
    masks = {
        Workshop(store_path, imp(), cut=cut, rounds=1).chain.tickets[1].mask.key  # type: ignore[union-attr]
        for cut in (0.2, 0.2001)
    }
    assert len(masks) == 1


def test_a_shuffled_and_reinitialised_ticket_keeps_its_layers_counts(store_path: Path) -> None:
    changes = imp()
    changes["entry"].append({"name": "shuffled", "tickets": "imp", "ticket": ["shuffle-within-layer", "reinit"]})
    workshop = Workshop(store_path, changes)
    ticket = workshop.chain.tickets[2]
    uses = [workshop.workbench.catalogue.use(name, slot="ticket") for name in ("shuffle-within-layer", "reinit")]
    one, other = workshop.chain.edited(ticket, uses, 0), workshop.chain.edited(ticket, uses, 1)
    refs = [ref for t in (ticket, one, other) for ref in (t.weights, t.mask) if ref is not None]
    workshop.make(*refs)
    masks = [workshop.mask(ref) for ref in refs[1::2]]
    weights = [workshop.weights(ref) for ref in refs[0::2]]
    assert len({mask.counts for mask in masks}) == 1
    assert len({str(mask.flat().tolist()) for mask in masks}) == 3
    assert not any(same(a, b) for a, b in [(weights[0], weights[1]), (weights[1], weights[2])])
    outcome = run(store_path, changes, entry=changes["entry"])
    assert {row["outcome"] for row in rows(outcome, entry="shuffled")} == {"ok"}


def test_a_score_sees_masked_weights_in_evaluation_mode_at_the_pruned_state(store_path: Path) -> None:
    # Of the weights that a round leaves, none that was pruned before comes back: their scores are those of zeros.
    workshop = Workshop(store_path, imp(score="magnitude"), rounds=2)
    first, second = workshop.chain.tickets[1:]
    assert first.mask is not None
    assert second.mask is not None
    workshop.make(first.mask, second.mask)
    assert workshop.mask(second.mask).issubset(workshop.mask(first.mask))


# Stored masks.


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=5))
def test_a_mask_survives_packing(layers: list[list[bool]]) -> None:
    mask = Mask(tuple(torch.tensor(layer) for layer in layers))
    again = unpack_mask(load_tensors(dump_tensors(pack_mask(mask))))
    assert [keep.tolist() for keep in again.keep] == layers
    assert all(keep.dtype == torch.bool for keep in again.keep)


def test_a_mask_of_ten_million_units_takes_a_bit_each() -> None:
    keep = torch.arange(10_000_001) % 3 == 0
    data = dump_tensors(pack_mask(Mask((keep,))))
    assert len(data) < 10_000_001 / 8 + 1_000
    assert torch.equal(unpack_mask(load_tensors(data)).keep[0], keep)


def test_the_meta_of_a_mask_counts_units_by_layer_and_parameters_of_all() -> None:
    net = two_layer_net()
    units = weight_units(net)
    mask = some_mask(units, 20)
    assert mask_meta(mask, units, net, torch.zeros(1, 1, 2, 4)) == {
        "count": 20,
        "counts": list(mask.counts),
        "layers": ["fc1.weight", "fc2.weight"],
        "parameters": 75 - 46,
        "parameters_all": 75,
        "macs": 20,
        "macs_all": 66,
    }


# Analyses.


def test_measurements_become_rows_and_figures_are_stored(store_path: Path) -> None:
    changes = imp(analyse=["norms"])
    outcome = run(store_path, changes)
    found = rows(outcome, entry="imp", role="analyse")
    assert [(row["round"], row["metric"], row["split"], row["position"]) for row in found] == [
        (1, "norms/norm", "train", "end"),
        (2, "norms/norm", "train", "end"),
    ]
    assert [row["density"] for row in found] == [53 / 66, 42 / 66]
    (trial,) = [trial for trial in prepared(store_path, changes).plan.trials if trial.entry == "imp"]
    workshop = Workshop(store_path, changes)
    for row, evaluation in zip(found, trial.evaluations, strict=True):
        weights = workshop.weights(evaluation.run.end).values()
        assert row["value"] == pytest.approx(sum(float(w.double().square().sum()) for w in weights) ** 0.5)
    ((name, ref),) = trial.analyses
    artifact = open_store(store_path).get(ref.address)
    assert name == "norms"
    assert list(artifact.files) == ["norms.svg"]
    assert artifact.meta["figures"] == [{"name": "norms", "caption": "Nothing to see."}]


def test_layer_densities_end_to_end(store_path: Path) -> None:
    changes = imp(analyse=["layer-densities"])
    outcome = run(store_path, changes)
    (trial,) = [trial for trial in prepared(store_path, changes).plan.trials if trial.entry == "imp"]
    workshop = Workshop(store_path, changes)
    found = {(row["round"], row["metric"].rpartition("/")[2]): row["value"] for row in rows(outcome, role="analyse")}
    assert found[0, "1.weight"] == found[0, "3.weight"] == 1.0
    for ticket in workshop.chain.tickets[1:]:
        assert ticket.mask is not None
        counts = workshop.mask(ticket.mask).counts
        assert (found[ticket.round, "1.weight"], found[ticket.round, "3.weight"]) == (counts[0] / 48, counts[1] / 18)
    assert len(found) == 6
    artifact = open_store(store_path).get(trial.analyses[0][1].address)
    assert ElementTree.fromstring(artifact.files["layer-densities.svg"]).tag.endswith("svg")


def test_an_analysis_that_is_added_trains_nothing(store_path: Path) -> None:
    run(store_path, imp())
    outcome = run(store_path, imp(analyse=["layer-densities"]))
    assert outcome.execution.done == 1
    assert rows(outcome, role="analyse")


def test_pruned_weights_are_stored_as_positive_zeros(workshop: Workshop) -> None:
    trained = workshop.chain.evaluate(workshop.chain.tickets[2])
    workshop.make(trained.end)
    assert trained.ticket.mask is not None
    weights = workshop.weights(trained.end)
    for name, keep in zip(("1.weight", "3.weight"), workshop.mask(trained.ticket.mask).keep, strict=True):
        dead = weights[name].flatten()[~keep]
        assert bits(dead) == bytes(4 * dead.numel())
        assert bool(weights[name].flatten()[keep].any())
