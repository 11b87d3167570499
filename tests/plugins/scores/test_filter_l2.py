import math

import pytest
import torch
from channel_toys import HandUnits, Joined, channel_net, joined_net
from torch import nn

from prunebench.api.masks import Mask, Units
from prunebench.testing import ScoreContract
from prunebench_plugins.scores.filter_l2 import FilterL2, FilterL2Config


class TestFilterL2(ScoreContract):
    component = {"use": "filter-l2"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestFilterL2OverTheLayersMean(TestFilterL2):
    component = {"use": "filter-l2", "normalise": "mean"}


def scored(model: nn.Module, units: Units, mask: Mask | None = None, normalise: str = "none") -> list[list[float]]:
    config = FilterL2Config.model_validate({"normalise": normalise})
    return [values.tolist() for values in FilterL2(config).prunebench_score(model, units, mask).values]


def norms(model: nn.Module, layer: str) -> list[float]:
    """Filter by filter, weight by weight."""
    filters = model.get_parameter(f"{layer}.weight").detach().flatten(1).double().tolist()
    return [math.sqrt(sum(w * w for w in filter)) for filter in filters]


def test_the_score_is_the_norm_of_the_filter_and_of_nothing_else() -> None:
    model = channel_net()
    found = scored(model, HandUnits(model))
    assert found == [pytest.approx(norms(model, layer), rel=1e-5) for layer in ("conv1", "conv2")]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in ("conv1.weight", "conv2.weight"):
                parameter.mul_(3.0)
    assert scored(model, HandUnits(model)) == found


@pytest.mark.parametrize("rule", ["sum", "max"])
def test_filters_whose_outputs_are_added_are_combined_by_the_units(rule: str) -> None:
    model = joined_net()
    pairs = zip(norms(model, "a"), norms(model, "b"), strict=True)
    expected = [x + y if rule == "sum" else max(x, y) for x, y in pairs]
    assert scored(model, Joined(rule)) == [pytest.approx(expected, rel=1e-5)]  # type: ignore[arg-type]


def test_normalised_scores_ignore_a_layers_scale_and_dead_channels() -> None:
    model = channel_net()
    mask = Mask((torch.tensor([True, False, True, True, False]), torch.tensor([True] * 4)))
    with torch.no_grad():
        model.get_parameter("conv1.weight")[~mask.keep[0]] = 0.0
    for normalise in ("mean", "l2"):
        found = scored(model, HandUnits(model), mask, normalise)
        living = [value for value, alive in zip(found[0], mask.keep[0].tolist(), strict=True) if alive]
        size = sum(living) / 3 if normalise == "mean" else math.hypot(*living)
        assert size == pytest.approx(1.0)
        with torch.no_grad():
            model.get_parameter("conv1.weight").mul_(64.0)
        assert scored(model, HandUnits(model), mask, normalise)[0] == pytest.approx(found[0])
