import pytest
import torch
from channel_toys import HandUnits, Joined, channel_net, joined_net
from torch import nn

from prunebench import CannotTakePart, ContractError
from prunebench.api.errors import ConfigError
from prunebench.api.masks import Mask, Units
from prunebench.testing import ScoreContract, toy_plan, two_layer_net, weight_units
from prunebench_plugins.scores.bn_gamma import BnGamma, BnGammaConfig


class TestBnGamma(ScoreContract):
    component = {"use": "bn-gamma"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestBnGammaOverTheLayersMean(TestBnGamma):
    component = {"use": "bn-gamma", "normalise": "mean"}


class TestBnGammaOverTheLayersNorm(TestBnGamma):
    component = {"use": "bn-gamma", "normalise": "l2"}


def scored(model: nn.Module, units: Units, mask: Mask | None = None, normalise: str = "none") -> list[list[float]]:
    config = BnGammaConfig.model_validate({"normalise": normalise})
    return [values.tolist() for values in BnGamma(config).prunebench_score(model, units, mask).values]


def test_the_score_is_the_scales_magnitude() -> None:
    model = channel_net()
    expected = [model.get_parameter(f"bn{number}.weight").detach().abs().tolist() for number in (1, 2)]
    assert scored(model, HandUnits(model)) == expected


@pytest.mark.parametrize("rule", ["sum", "max"])
def test_scales_of_channels_that_are_added_are_combined_by_the_units(rule: str) -> None:
    model = joined_net()
    n, m = (model.get_parameter(f"{name}.weight").detach().abs().tolist() for name in ("n", "m"))
    expected = [a + b if rule == "sum" else max(a, b) for a, b in zip(n, m, strict=True)]
    assert scored(model, Joined(rule)) == [pytest.approx(expected)]  # type: ignore[arg-type]


def test_normalised_scores_are_over_the_channels_alive() -> None:
    model = channel_net()
    units = HandUnits(model)
    with torch.no_grad():
        model.get_parameter("bn1.weight").copy_(torch.tensor([3.0, -4.0, 0.0, 0.0, 0.0]))
        model.get_parameter("bn2.weight").copy_(torch.tensor([0.0, 0.0, 0.0, 0.0]))
    mask = Mask((torch.tensor([True, True, False, False, False]), torch.tensor([True] * 4)))
    assert scored(model, units, mask, "mean") == [pytest.approx([3 / 3.5, 4 / 3.5, 0, 0, 0]), [0.0] * 4]
    assert scored(model, units, mask, "l2") == [pytest.approx([0.6, 0.8, 0, 0, 0]), [0.0] * 4]
    assert scored(model, units, None, "mean")[0] == pytest.approx([3 / 1.4, 4 / 1.4, 0, 0, 0])


def test_a_layer_without_a_norm_layer_is_named() -> None:
    model = channel_net(norm=False)
    with pytest.raises(CannotTakePart, match='bn-gamma: layer "conv1": its channels have no scale of a norm layer'):
        scored(model, HandUnits(model))


@pytest.mark.parametrize("score", ["bn-gamma", "filter-l1", "filter-l2", "fpgm", {"use": "taylor", "group": ["out"]}])
def test_single_weights_are_refused_while_planning(score: object) -> None:
    with pytest.raises(ConfigError, match='it scores channels and not single weights; write units = "channels"'):
        toy_plan(entry=[{"name": "imp", "units": "weights", "score": score}])


def test_single_weights_under_another_name_are_refused_when_scored() -> None:
    model = two_layer_net()
    with pytest.raises(ContractError, match=r'layer "fc1\.weight" has no channels to score'):
        scored(model, weight_units(model))
