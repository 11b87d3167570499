from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from prunebench.api.masks import Mask
from prunebench.kernels.macs import by_weight, macs_of
from prunebench.kernels.weight_units import WeightUnits, layer_weights
from prunebench.testing import two_layer_net, weight_units
from prunebench.testing.data import some_mask


def test_a_linear_layer_multiplies_once_for_each_weight() -> None:
    assert list(by_weight(two_layer_net(), torch.zeros(1, 1, 2, 4)).values()) == [48, 18]


def test_a_convolution_multiplies_each_weight_at_each_pixel_of_its_output() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert dict(by_weight(net, torch.zeros(1, 3, 8, 8))) == {("0.weight",): 8 * 3 * 9 * 16, ("2.weight",): 8 * 16 * 10}


def test_resnet18_has_the_count_that_everybody_prints() -> None:
    assert sum(by_weight(timm.create_model("resnet18"), torch.zeros(1, 3, 224, 224)).values()) == 1_814_073_344


def test_attention_multiplies_without_weights_of_its_own() -> None:
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1)
    tokens, width = 5, 192
    assert by_weight(net, torch.zeros(1, 3, 32, 32))[()] == 2 * tokens * tokens * width


def test_tokens_are_counted_through_an_embedding() -> None:
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False))
    assert dict(by_weight(net, torch.zeros(1, 5, dtype=torch.int64))) == {("1.weight",): 5 * 4 * 7}


class Gate(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.relu() if images.sum() > 1 else images


def test_a_network_that_looks_at_values_is_counted_too() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), Gate(), nn.Linear(6, 3))
    assert list(by_weight(net, torch.zeros(1, 1, 2, 4)).values()) == [48, 18]


def test_counting_changes_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    by_weight(net, torch.zeros(1, 1, 5, 5))
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


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inp, self.one, self.two = nn.Linear(8, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.two.weight = self.one.weight

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.two(self.one(self.inp(images.flatten(1))))
        return out


class Twice(nn.Module):
    """One layer at two places of the network, with images of two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.conv(nn.functional.max_pool2d(self.conv(images), 2))
        return out


class Functional(nn.Module):
    """Bare parameters in functions, which no module's hooks see; one of them scaled before it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.k = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.m = nn.Parameter(torch.randn(4, 5))

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.conv2d(images, self.k * self.scale).mean((2, 3))
        return torch.einsum("bi,io->bo", maps, self.m)


def test_a_weight_counts_wherever_and_as_often_as_it_is_used() -> None:
    assert by_weight(Tied(), torch.zeros(1, 1, 2, 4)) == {("inp.weight",): 48, ("one.weight",): 72}
    assert by_weight(Twice(), torch.zeros(1, 1, 8, 8)) == {("conv.weight",): 9 * 64 + 9 * 16}
    found = by_weight(Functional(), torch.zeros(1, 1, 8, 8))
    assert found == {("k",): 4 * 9 * 36, ("m",): 20}


@pytest.mark.parametrize("kept", [0, 18, 36])
def test_half_of_a_weight_that_is_used_twice_is_half_of_both(kept: int) -> None:
    net = Tied()
    units = WeightUnits(net, {"one.weight": "linear"})
    mask = Mask.from_flat(torch.arange(36) < kept, units.layers)
    assert macs_of(net, torch.zeros(1, 1, 2, 4), units, mask).effective == 48 + 2 * kept


@pytest.mark.parametrize("layer", ["attention", "transformer"])
def test_all_four_projections_of_attention_count_though_torch_fuses_them(layer: str) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.it: nn.Module = nn.MultiheadAttention(8, 2, batch_first=True)
            if layer == "transformer":
                self.it = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.it(x) if layer == "transformer" else self.it(x, x, x, need_weights=False)[0]
            return out

    found = by_weight(Attention().eval(), torch.zeros(1, 5, 8))
    name = "it.self_attn." if layer == "transformer" else "it."
    assert found[f"{name}in_proj_weight",] == 5 * 8 * 24
    assert found[f"{name}out_proj.weight",] == 5 * 8 * 8
    assert found[()] == 2 * 5 * 5 * 8


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_weights_count_once_a_step(make: type[nn.RNNBase]) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = make(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.rnn(x)[0][:, -1]
            return out

    gates = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[make]
    found = by_weight(Last(), torch.zeros(1, 6, 3))
    assert found == {("rnn.weight_ih_l0",): 6 * gates * 12, ("rnn.weight_hh_l0",): 6 * gates * 16}


def test_spectral_norm_counts_with_the_parameter_that_is_pruned() -> None:
    net = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(8, 6)))
    assert by_weight(net, torch.zeros(1, 1, 2, 4))["1.parametrizations.weight.original",] == 48
