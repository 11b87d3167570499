from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from torch import nn

from prunebench import PrunebenchError
from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, some_mask, toy_plan, weight_units
from prunebench_plugins.analyses.threshold import Threshold, ThresholdConfig


def asking(*names: str, **config: Any) -> dict[str, Any]:
    return {"entry": [{"name": name, "analyse": [{"use": "threshold", **config}]} for name in names or ("imp",)]}


REINIT = {"name": "reinit", "tickets": "imp", "ticket": "reinit", "analyse": ["threshold"]}


class TestThreshold(AnalyseContract):
    component = {"use": "threshold"}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        pairs = list(pairwise(tickets))
        return {
            "before": [Optimum(a.weights, a.mask, b.round) for a, b in pairs],
            "after": [Optimum(a.weights, b.mask, b.round) for a, b in pairs],
        }


class TestThresholdOfADeepConvolutionalNetwork(TestThreshold):
    component = {"use": "threshold", "runs": "find"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(2, 2, 3) for _ in range(20)))


def analysed(weights: dict[str, torch.Tensor], before: Mask | None, after: Mask) -> dict[str, float]:
    units = weight_units(nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 2, bias=False)))
    inputs = {"before": [Optimum(weights, before, 4)], "after": [Optimum(weights, after, 4)]}
    analysis: Analysis = Threshold(ThresholdConfig()).prunebench_analyse(inputs, units)
    assert {m.round for m in analysis.measurements} == {4}
    return {m.metric: m.value for m in analysis.measurements}


WEIGHTS = {"0.weight": torch.tensor([[1.0, -3.0, 0.5]]), "1.weight": torch.tensor([[-2.0], [4.0]])}


def masked(*keep: int) -> Mask:
    return Mask((torch.tensor(keep[:3]).bool(), torch.tensor(keep[3:]).bool()))


def test_both_sides_are_of_what_the_round_found_alive() -> None:
    assert analysed(WEIGHTS, masked(1, 1, 0, 1, 1), masked(0, 1, 0, 0, 1)) == {
        "largest_removed": 2.0,
        "largest_removed/0.weight": 1.0,
        "largest_removed/1.weight": 2.0,
        "smallest_kept": 3.0,
        "smallest_kept/0.weight": 3.0,
        "smallest_kept/1.weight": 4.0,
    }


def test_a_layer_that_loses_nothing_or_keeps_nothing_has_one_side() -> None:
    found = analysed(WEIGHTS, None, masked(0, 0, 0, 1, 1))
    assert set(found) == {
        "largest_removed",
        "largest_removed/0.weight",
        "smallest_kept",
        "smallest_kept/1.weight",
    }
    # A rule that does not go by magnitude removes larger weights than it keeps.
    assert found["largest_removed"] > found["smallest_kept"]


def test_a_round_that_removes_nothing_is_still_drawn() -> None:
    units = weight_units(nn.Sequential(nn.Linear(3, 1, bias=False)))
    mask = some_mask(units, 2)
    state = Optimum({"0.weight": torch.ones(1, 3)}, mask, 1)
    analysis = Threshold(ThresholdConfig()).prunebench_analyse({"before": [state], "after": [state]}, units)
    assert {m.metric for m in analysis.measurements} == {"smallest_kept", "smallest_kept/0.weight"}
    assert [f.name for f in analysis.figures] == ["threshold"]


def test_the_analysis_adds_neither_training_nor_pruning_where_the_recipes_are_equal() -> None:
    def keys(*changes: dict[str, Any]) -> set[str]:
        return {p.key for p in toy_plan(*changes, rounds=3).phases.values() if p.kind in ("train", "prune")}

    assert keys(asking()) == keys(asking(runs="find")) == keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (asking("dense"), "threshold: the entry prunes nothing"),
        (
            {"entry": [{"name": "imp", "schedule": "at-init", "analyse": [{"use": "threshold", "runs": "find"}]}]},
            "no find run",
        ),
    ],
)
def test_an_entry_that_prunes_no_trained_state_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        toy_plan(change)


def cut(shop: Workshop, ref: Any, count: int, mask: Any) -> tuple[float, float]:
    """The magnitudes on both sides of a cut to the `count` largest, by sorting."""
    state = shop.weights(ref)
    sizes = np.concatenate([np.abs(state[name].numpy()).ravel() for name in ("1.weight", "3.weight")])
    if mask is not None:
        sizes = sizes[shop.mask(mask).flat().numpy()]
    largest = np.sort(sizes)[::-1]
    return float(largest[count]), float(largest[count - 1])


@pytest.mark.parametrize("runs", ["judged", "find"])
def test_a_real_run_gives_the_quantiles_of_its_own_states(tmp_path: Path, runs: str) -> None:
    change = [asking(runs=runs), {"evaluate": {"stop": "20it"}}]
    outcome = run(tmp_path / "store", *change, rounds=3)
    assert not outcome.failed
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", *change, rounds=3)
    recipe = shop.recipes.find if runs == "find" else shop.recipes.evaluate
    for round_ in (1, 2, 3):
        ticket = shop.chain.tickets[round_ - 1]
        trained = shop.chain.evaluate(ticket, recipe)
        sides = cut(shop, trained.end, shop.chain.counts[round_], ticket.mask)
        found = [rows[f"threshold/{side}", round_] for side in ("largest_removed", "smallest_kept")]
        assert found == pytest.approx(sides)
        assert found[0] <= found[1]
    assert {round_ for _, round_ in rows} == {1, 2, 3}


def test_reinitialised_tickets_have_the_threshold_of_their_own_optima(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", {"entry": [REINIT]})
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store")
    use = shop.workbench.catalogue.use("reinit", slot="ticket")
    ticket = shop.chain.edited(shop.chain.tickets[1], [use], 0)
    judged = shop.chain.evaluate(ticket)
    sides = cut(shop, judged.end, shop.chain.counts[2], ticket.mask)
    assert rows["threshold/largest_removed", 2] == pytest.approx(sides[0])
    assert rows["threshold/smallest_kept", 2] == pytest.approx(sides[1])
    assert {round_ for _, round_ in rows} == {1, 2}


def test_one_dense_run_that_is_cut_several_times_is_read_each_time(tmp_path: Path) -> None:
    change: dict[str, Any] = {
        "entry": [{"name": "imp", "schedule": "one-shot", "analyse": [{"use": "threshold", "runs": "find"}]}]
    }
    outcome = run(tmp_path / "store", change)
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", change)
    dense = shop.chain.find(shop.chain.dense, 1)
    for round_ in (1, 2):
        sides = cut(shop, dense.end, shop.chain.counts[round_], None)
        assert rows["threshold/largest_removed", round_] == pytest.approx(sides[0])
