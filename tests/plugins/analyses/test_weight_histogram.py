from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from pydantic import ValidationError
from torch import nn

from prunebench.api.errors import ConfigError
from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, toy_plan, weight_units
from prunebench_plugins.analyses.weight_histogram import WeightHistogram, WeightHistogramConfig

ANALYSED = {"entry": [{"name": name, "analyse": ["weight-histogram"]} for name in ("dense", "imp")]}


class TestWeightHistogram(AnalyseContract):
    component = {"use": "weight-histogram"}

    def inputs(self) -> Inputs:
        return {"optima": super().inputs()["tickets"]}


class TestWeightHistogramOfADeepConvolutionalNetwork(TestWeightHistogram):
    component = {"use": "weight-histogram", "near": 0.5}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(2, 2, 3) for _ in range(20)))


class TestWeightHistogramOfOneLayer(TestWeightHistogram):
    component = {"use": "weight-histogram"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 3))


WEIGHTS = {"0.weight": torch.tensor([[1.0, -3.0]]), "1.weight": torch.tensor([[0.5], [4.0]])}


def analysed(near: float, *masks: Mask | None) -> Analysis:
    units = weight_units(nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2)))
    optima = [Optimum(WEIGHTS, mask, round_) for round_, mask in enumerate(masks)]
    return WeightHistogram(WeightHistogramConfig(near=near)).prunebench_analyse({"optima": optima}, units)


def values(analysis: Analysis) -> dict[tuple[str, int | None], float]:
    return {(m.metric, m.round): m.value for m in analysis.measurements}


def test_numbers_are_those_of_the_survivors() -> None:
    found = values(analysed(0.5, None, Mask((torch.tensor([False, True]), torch.tensor([True, True])))))
    assert found["mean_abs", 0] == 2.125
    assert found["near_zero", 0] == 0.5  # 1 and 0.5 are below 1.0625
    assert found["sd/0.weight", 0] == 2.0
    # A layer's own mean counts for the layer.
    assert found["near_zero/0.weight", 0] == 0.0
    assert found["near_zero/1.weight", 0] == 0.5
    assert found["mean_abs", 1] == 2.5
    assert found["near_zero", 1] == pytest.approx(1 / 3)
    assert found["sd/0.weight", 1] == 0.0


def test_a_layer_without_survivors_has_no_numbers_and_is_still_drawn() -> None:
    analysis = analysed(0.2, None, Mask((torch.tensor([False, False]), torch.tensor([True, True]))))
    assert not [place for place in values(analysis) if place[1] == 1 and place[0].endswith("/0.weight")]
    assert ">0.weight<" in analysis.figures[0].svg


def test_the_figure_names_rounds_with_their_density_and_says_which_layers_it_leaves_out() -> None:
    svg = analysed(0.2, None, Mask((torch.tensor([False, True]), torch.tensor([True, True])))).figures[0].svg
    assert "round 0: density 1.000" in svg
    assert "round 1: density 0.750" in svg
    contract = TestWeightHistogramOfADeepConvolutionalNetwork()
    assert contract.analysed(contract.inputs()).figures[0].caption.endswith("3 of 20 layers are shown.")


def test_stated_rounds_are_drawn_and_all_are_measured() -> None:
    mask = Mask((torch.tensor([False, True]), torch.tensor([True, True])))
    units = weight_units(nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2)))
    optima = [Optimum(WEIGHTS, None if round_ == 0 else mask, round_) for round_ in range(12)]
    config = WeightHistogramConfig(rounds=(10,))
    analysis = WeightHistogram(config).prunebench_analyse({"optima": optima}, units)
    assert {round_ for _, round_ in values(analysis)} == set(range(12))
    drawn = [round_ for round_ in range(12) if f"round {round_}: density" in analysis.figures[0].svg]
    assert drawn == [10]


def test_a_round_that_is_not_judged_cannot_be_drawn() -> None:
    histogram = {"use": "weight-histogram", "rounds": [0, 2, 10]}
    changes = {"entry": [{"name": "imp", "analyse": [histogram]}]}
    with pytest.raises(ConfigError, match="rounds: 10 cannot be drawn; the entry has 0, 1, 2, 3"):
        toy_plan(changes, rounds=3)


def test_a_histogram_that_states_no_rounds_has_the_key_that_it_had_before_they_could_be_stated() -> None:
    assert WeightHistogramConfig().model_dump() == {"near": 0.2}
    assert WeightHistogramConfig(rounds=(10,)).model_dump() == {"near": 0.2, "rounds": (10,)}


def test_the_share_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        WeightHistogramConfig(near=0.0)


def test_the_analysis_adds_no_training() -> None:
    assert {p.key for p in toy_plan(ANALYSED, rounds=3).runs} == {p.key for p in toy_plan(rounds=3).runs}


def test_a_real_run_gives_the_numbers_of_its_own_states(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", ANALYSED)
    assert not outcome.failed
    rows: dict[Any, float] = {(r.entry, r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", ANALYSED)
    for round_ in (0, 1, 2):
        ticket = shop.chain.tickets[round_]
        state = shop.weights(shop.chain.evaluate(ticket).end)
        kept = np.concatenate([state[name].double().numpy().ravel() for name in ("1.weight", "3.weight")])
        if ticket.mask is not None:
            kept = kept[shop.mask(ticket.mask).flat().numpy()]
        size = np.abs(kept).mean()
        expected = {"mean_abs": size, "sd": kept.std(), "near_zero": (np.abs(kept) < 0.2 * size).mean()}
        for entry in ("imp", "dense") if round_ == 0 else ("imp",):
            found = {metric: rows[entry, f"weight-histogram/{metric}", round_] for metric in expected}
            assert found == pytest.approx(expected)
