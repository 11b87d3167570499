from pathlib import Path

import numpy as np
import pytest
import torch
from engine.toy_runs import run
from torch import nn

from prunebench import PlanError
from prunebench.api.errors import ConfigError
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, toy_plan
from prunebench_plugins.analyses.scale_distribution import ScaleDistribution, ScaleDistributionConfig


def normed(*widths: int) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten()]
    for read, written in zip((8, *widths), widths, strict=False):
        layers += [nn.Linear(read, written), nn.BatchNorm1d(written)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 3))


class TestScaleDistribution(AnalyseContract):
    component = {"use": "scale-distribution"}

    def model(self) -> nn.Module:
        return normed(5, 4)

    def inputs(self) -> Inputs:
        first, *_, last = super().inputs()["tickets"]
        return {"states": (Optimum(first.weights, None, 0, "0it"), Optimum(last.weights, None, 0, "8it"))}


class TestScaleDistributionOfManyLayers(TestScaleDistribution):
    def model(self) -> nn.Module:
        return normed(*[3] * 20)


def analysed(model: nn.Module, *states: dict[str, torch.Tensor], **config: object) -> Analysis:
    inputs = {"states": tuple(Optimum(state, None, 0, f"{8 * i}it") for i, state in enumerate(states))}
    component = ScaleDistribution(ScaleDistributionConfig.model_validate(config))
    return component.prunebench_analyse(inputs, model)


def values(analysis: Analysis) -> dict[tuple[str, str], float]:
    return {(m.metric, m.position): m.value for m in analysis.measurements}


def test_magnitudes_of_all_scales_and_of_each_layer_are_measured_at_each_position() -> None:
    model = normed(4, 2)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    trained = {**fresh, "2.weight": torch.tensor([-0.6, 0.002, 0.0, 0.2]), "4.weight": torch.tensor([0.5, -0.001])}
    found = values(analysed(model, fresh, trained))
    assert {position for _, position in found} == {"0it", "8it"}
    assert found["mean", "0it"] == found["median", "0it"] == found["largest", "0it"] == 1.0
    assert found["near_zero", "0it"] == 0.0
    scales = [0.6, 0.002, 0.0, 0.2, 0.5, 0.001]
    assert found["mean", "8it"] == pytest.approx(np.mean(scales))
    assert found["median", "8it"] == pytest.approx(np.median(scales))
    assert found["largest", "8it"] == pytest.approx(0.6)
    assert found["near_zero", "8it"] == 0.5
    assert found["near_zero/4.weight", "8it"] == 0.5
    assert found["largest/4.weight", "8it"] == pytest.approx(0.5)
    assert values(analysed(model, trained, near=0.3))["near_zero", "0it"] == pytest.approx(4 / 6)


def test_other_norm_layers_count_where_they_are_asked_for() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4, affine=False))
    with pytest.raises(PlanError, match="no batch-norm layer with a learned scale"):
        analysed(model, dict(model.state_dict()))
    found = values(analysed(model, dict(model.state_dict()), over="all"))
    assert {metric for metric, _ in found if metric.startswith("mean/")} == {"mean/1.weight", "mean/2.weight"}


def test_a_norm_layer_that_is_used_twice_counts_once() -> None:
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 4), norm)
    found = values(analysed(model, dict(model.state_dict())))
    assert {metric for metric, _ in found if metric.startswith("mean/")} == {"mean/1.weight"}


def test_scales_that_are_all_zero_are_drawn() -> None:
    model = normed(3)
    state = {**model.state_dict(), "2.weight": torch.zeros(3)}
    assert values(analysed(model, state))["near_zero", "0it"] == 1.0


NORMED = {"entry": [{"name": "imp", "analyse": [{"use": "scale-distribution", "at": ["0it", "8it"]}]}]}


def test_the_analysis_reads_the_dense_run_and_adds_no_training() -> None:
    plan = toy_plan(NORMED)
    assert {p.key for p in plan.runs} == {p.key for p in toy_plan().runs}
    (phase,) = (p for p in plan.phases.values() if p.kind == "analyse")
    assert [state.label for state in phase.spec.analysis.inputs["states"]] == ["0it", "8it", "24it"]


def test_a_position_past_the_end_of_the_run_is_an_error() -> None:
    late = {"use": "scale-distribution", "at": ["25it"]}
    with pytest.raises(ConfigError, match='at: "25it" is past the end of the run, iteration 24'):
        toy_plan({"entry": [{"name": "imp", "analyse": [late]}]})


def test_a_network_without_scales_fails_its_analysis_alone(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", {"entry": [{"name": "imp", "analyse": ["scale-distribution"]}]})
    (error,) = outcome.failed.values()
    assert "no batch-norm layer with a learned scale" in str(error)
