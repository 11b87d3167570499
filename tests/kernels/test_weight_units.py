from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.kernels.weight_units import WeightUnits, classifier_weights, layer_weights
from prunebench.testing import some_mask


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)
    )


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight


class Headed(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.body, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
        self.heads = nn.ModuleList(nn.Linear(3, 2) for _ in range(heads))

    def get_classifier(self) -> object:
        return tuple(self.heads) if len(self.heads) > 1 else self.heads[0]


def test_the_weights_of_convolutions_and_linear_layers_are_found_in_order() -> None:
    assert layer_weights(small()) == {"0.weight": "conv", "4.weight": "linear", "6.weight": "linear"}
    assert layer_weights(nn.Linear(2, 2)) == {"weight": "linear"}
    assert list(layer_weights(nn.Sequential(nn.Conv1d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1))).values()) == ["conv"] * 2


def test_a_weight_that_two_layers_share_is_one_layer() -> None:
    assert layer_weights(Tied()) == {"first.weight": "linear"}


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (small(), {"6.weight", "6.bias"}),
        (Headed(1), {"heads.0.weight", "heads.0.bias"}),
        (Headed(2), {"heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias"}),
        (nn.Conv2d(1, 1, 1), set()),
    ],
)
def test_the_classifier_is_what_the_network_calls_so_or_the_last_linear_layer(
    model: nn.Module, names: set[str]
) -> None:
    assert classifier_weights(model) == names


def test_layers_lie_one_after_the_other_in_the_flat_order() -> None:
    units = WeightUnits(small(), layer_weights(small()))
    assert [(layer.name, layer.start, layer.count, layer.kind) for layer in units.layers] == [
        ("0.weight", 0, 18, "conv"),
        ("4.weight", 18, 32, "linear"),
        ("6.weight", 50, 12, "linear"),
    ]
    assert units.count == 62


def test_units_are_the_elements_of_the_weights_in_row_major_order() -> None:
    model = small()
    units = WeightUnits(model, layer_weights(model))
    scores = units.reduce(lambda name, weight: weight)
    assert [tuple(values.shape) for values in scores.values] == [(18,), (32,), (12,)]
    assert torch.equal(
        scores.flat(), torch.cat([model.get_parameter(n).detach().flatten() for n in layer_weights(model)])
    )
    assert not scores.flat().requires_grad


def test_weights_in_another_memory_format_have_the_same_units() -> None:
    model = small()
    before = WeightUnits(model, layer_weights(model)).reduce(lambda name, weight: weight).flat()
    model.to(memory_format=torch.channels_last)
    after = WeightUnits(model, layer_weights(model)).reduce(lambda name, weight: weight).flat()
    assert torch.equal(before, after)


def test_scores_follow_the_weights_as_they_are_when_they_are_taken() -> None:
    model = small()
    units = WeightUnits(model, layer_weights(model))
    with torch.no_grad():
        model.get_parameter("6.weight").fill_(7.0)
    assert units.reduce(lambda name, weight: weight).values[2].tolist() == [7.0] * 12


def test_an_expanded_mask_has_the_shapes_of_the_weights() -> None:
    model = small()
    units = WeightUnits(model, layer_weights(model))
    mask = some_mask(units, 20)
    expanded = units.expand(mask)
    assert {name: tuple(keep.shape) for name, keep in expanded.items()} == {
        name: tuple(model.get_parameter(name).shape) for name in layer_weights(model)
    }
    assert torch.equal(torch.cat([keep.flatten() for keep in expanded.values()]), mask.flat())


def test_units_of_a_model_on_the_meta_device_are_those_of_the_real_one() -> None:
    with torch.device("meta"):
        meta = small()
    assert WeightUnits(meta, layer_weights(meta)).layers == WeightUnits(small(), layer_weights(small())).layers


def test_a_shrunk_network_computes_what_the_masked_one_does_and_the_model_is_left_alone() -> None:
    model = small().eval()
    units = WeightUnits(model, layer_weights(model))
    mask = some_mask(units, 20)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shrunk = units.shrink(model, mask)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).mul_(keep)
        images = torch.linspace(-1, 1, 2 * 16).view(2, 1, 4, 4)
        assert torch.equal(shrunk(images), model(images))
    assert int(sum((shrunk.get_parameter(n) != 0).sum() for n in layer_weights(model))) == 20
