from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from prunebench.api.masks import Mask
from prunebench.kernels.macs import by_layer, macs_of
from prunebench.kernels.weight_units import WeightUnits, layer_weights
from prunebench.testing import two_layer_net, weight_units
from prunebench.testing.data import some_mask


def test_a_linear_layer_multiplies_once_for_each_weight() -> None:
    assert list(by_layer(two_layer_net(), torch.zeros(1, 1, 2, 4)).values()) == [48, 18]


def test_a_convolution_multiplies_each_weight_at_each_pixel_of_its_output() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert dict(by_layer(net, torch.zeros(1, 3, 8, 8))) == {"0": 8 * 3 * 9 * 16, "2": 8 * 16 * 10}


def test_resnet18_has_the_count_that_everybody_prints() -> None:
    assert sum(by_layer(timm.create_model("resnet18"), torch.zeros(1, 3, 224, 224)).values()) == 1_814_073_344


def test_attention_multiplies_without_weights_of_its_own() -> None:
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1)
    tokens, width = 5, 192
    assert by_layer(net, torch.zeros(1, 3, 32, 32))["blocks.0.attn"] == 2 * tokens * tokens * width


def test_tokens_are_counted_through_an_embedding() -> None:
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False))
    assert dict(by_layer(net, torch.zeros(1, 5, dtype=torch.int64))) == {"1": 5 * 4 * 7}


class Gate(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.relu() if images.sum() > 1 else images


def test_a_network_that_looks_at_values_is_counted_too() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), Gate(), nn.Linear(6, 3))
    assert list(by_layer(net, torch.zeros(1, 1, 2, 4)).values()) == [48, 18]


def test_counting_changes_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    by_layer(net, torch.zeros(1, 1, 5, 5))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("count", [66, 20, 1])
def test_a_masked_weight_is_not_multiplied(count: int) -> None:
    net = two_layer_net()
    units = weight_units(net)
    found = macs_of(net, torch.zeros(1, 1, 2, 4), units, some_mask(units, count))
    assert (found.dense, found.effective) == (66, count)


def test_a_layer_of_many_weights_is_counted_exactly() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Flatten(), nn.Linear(5000, 4000, bias=False))
    units = WeightUnits(net, layer_weights(net))
    keep = torch.ones(units.count, dtype=torch.bool)
    keep[7] = False
    assert (
        macs_of(net, torch.zeros(1, 1, 50, 100), units, Mask.from_flat(keep, units.layers)).effective == 20_000_000 - 1
    )


def test_a_mask_weighs_by_the_pixels_of_its_layer() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(32, 3, bias=False))
    units = WeightUnits(net, layer_weights(net))
    keep = torch.ones(units.count, dtype=torch.bool)
    keep[:9] = False  # the first filter
    found = macs_of(net, torch.zeros(1, 1, 4, 4), units, Mask.from_flat(keep, units.layers))
    assert (found.dense, found.effective) == (18 * 16 + 96, 9 * 16 + 96)
