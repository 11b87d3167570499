import pytest
import torch
from torch import nn

from prunebench.api.masks import Scores
from prunebench.testing import ScoreContract, weight_units
from prunebench_plugins.scores.magnitude import Magnitude, MagnitudeConfig


class TestMagnitude(ScoreContract):
    component = {"use": "magnitude"}


class TestMagnitudeOverTheLayersNorm(ScoreContract):
    component = {"use": "magnitude", "normalise": "l2"}


class TestMagnitudeOverTheLayersMean(ScoreContract):
    component = {"use": "magnitude", "normalise": "mean"}


def scored(model: nn.Module, normalise: str) -> Scores:
    config = MagnitudeConfig.model_validate({"normalise": normalise})
    return Magnitude(config).prunebench_score(weight_units(model))


def test_without_normalisation_the_score_is_the_magnitude(two_layer_net: nn.Sequential) -> None:
    fc1 = two_layer_net.get_parameter("fc1.weight")
    assert torch.equal(scored(two_layer_net, "none").values[0], fc1.detach().abs().flatten())


@pytest.mark.parametrize("normalise", ["l2", "mean"])
def test_normalised_scores_ignore_a_layers_scale(two_layer_net: nn.Sequential, normalise: str) -> None:
    before = scored(two_layer_net, normalise)
    with torch.no_grad():
        two_layer_net.get_parameter("fc1.weight").mul_(64.0)
    after = scored(two_layer_net, normalise)
    torch.testing.assert_close(before.flat(), after.flat())


def test_l2_scores_have_norm_one_and_mean_scores_have_mean_one(two_layer_net: nn.Sequential) -> None:
    for values in scored(two_layer_net, "l2").values:
        assert float(values.norm()) == pytest.approx(1.0)
    for values in scored(two_layer_net, "mean").values:
        assert float(values.mean()) == pytest.approx(1.0)


def test_the_mean_counts_dead_weights_and_the_norm_does_not_see_them() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    assert scored(model, "mean").flat().tolist() == pytest.approx([3 / 1.75, 0, 0, 4 / 1.75])
    assert scored(model, "l2").flat().tolist() == pytest.approx([0.6, 0, 0, 0.8])
