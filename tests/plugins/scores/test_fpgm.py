import math

import pytest
import torch
from channel_toys import HandUnits, Joined, channel_net, joined_net
from torch import nn

from prunebench.api.masks import Mask, Units
from prunebench.testing import ScoreContract
from prunebench_plugins.scores.fpgm import Fpgm, FpgmConfig


class TestFpgm(ScoreContract):
    component = {"use": "fpgm"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestFpgmOverTheLayersMean(TestFpgm):
    component = {"use": "fpgm", "normalise": "mean"}


def scored(model: nn.Module, units: Units, mask: Mask | None = None, normalise: str = "none") -> list[list[float]]:
    config = FpgmConfig.model_validate({"normalise": normalise})
    return [values.tolist() for values in Fpgm(config).prunebench_score(model, units, mask).values]


def distances(model: nn.Module, layer: str, alive: list[int] | None = None) -> list[float]:
    """Filter by filter."""
    filters = model.get_parameter(f"{layer}.weight").detach().flatten(1).double().tolist()
    others = range(len(filters)) if alive is None else alive
    return [sum(math.dist(one, filters[other]) for other in others) for one in filters]


def test_the_score_is_the_sum_of_distances_to_the_layers_filters() -> None:
    model = channel_net()
    expected = [pytest.approx(distances(model, layer), rel=1e-5) for layer in ("conv1", "conv2")]
    assert scored(model, HandUnits(model)) == expected


def test_dead_filters_are_no_neighbours() -> None:
    model = channel_net()
    mask = Mask((torch.tensor([True, False, True, True, False]), torch.tensor([True] * 4)))
    with torch.no_grad():
        model.get_parameter("conv1.weight")[~mask.keep[0]] = 0.0
    assert scored(model, HandUnits(model), mask)[0] == pytest.approx(distances(model, "conv1", [0, 2, 3]), rel=1e-5)


def test_the_filter_between_the_others_scores_lowest_however_large_it_is() -> None:
    model = channel_net()
    with torch.no_grad():
        weight = model.get_parameter("conv1.weight")
        for unit, place in enumerate((100.0, 103.0, 101.0, 90.0, 110.0)):
            weight[unit] = place
    assert min(range(5), key=scored(model, HandUnits(model))[0].__getitem__) == 2


def test_filters_that_are_nearly_alike_keep_their_digits() -> None:
    model = channel_net()
    with torch.no_grad():
        weight = model.get_parameter("conv1.weight")
        weight.fill_(1.0)
        weight[4, 0, 0, 0] += 2**-20
    assert scored(model, HandUnits(model))[0] == pytest.approx([2**-20] * 4 + [4 * 2**-20], rel=1e-6)


@pytest.mark.parametrize("rule", ["sum", "max"])
def test_filters_whose_outputs_are_added_are_combined_by_the_units(rule: str) -> None:
    model = joined_net()
    pairs = zip(distances(model, "a"), distances(model, "b"), strict=True)
    expected = [x + y if rule == "sum" else max(x, y) for x, y in pairs]
    assert scored(model, Joined(rule)) == [pytest.approx(expected, rel=1e-5)]  # type: ignore[arg-type]


def test_normalised_scores_ignore_a_layers_scale() -> None:
    model = channel_net()
    before = scored(model, HandUnits(model), normalise="mean")
    assert sum(before[0]) / 5 == pytest.approx(1.0)
    with torch.no_grad():
        model.get_parameter("conv1.weight").mul_(64.0)
    assert scored(model, HandUnits(model), normalise="mean")[0] == pytest.approx(before[0])
