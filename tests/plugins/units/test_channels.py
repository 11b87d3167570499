"""What a channel owns, how its members' scores become one, and which channels are no units."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from engine.toy_runs import rows, run
from torch import Tensor, nn

from prunebench import CannotTakePart, PlanError
from prunebench.api.errors import ConfigError
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask
from prunebench.testing import UnitsContract
from prunebench_plugins.units._channel_units import ChannelUnits
from prunebench_plugins.units.channels import Channels, ChannelsConfig


def conv_net(**more: nn.Module) -> nn.Sequential:
    """5 channels that a second convolution reads, 4 that the classifier reads as 8 pixels each."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = nn.Conv2d(1, 5, 3, padding=1, bias=False)
        layers["norm"] = nn.BatchNorm2d(5)
        layers["act"] = nn.ReLU()
        layers["conv2"] = nn.Conv2d(5, 4, 3, padding=1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(32, 3)
        layers.update(more)
        net = nn.Sequential(layers)
        with torch.no_grad():
            for norm in net.modules():
                if isinstance(norm, nn.BatchNorm2d) and norm.affine:
                    norm.weight.uniform_(0.5, 1.5)
                    norm.bias.uniform_(-1, 1)
        return net


class Residual(nn.Module):
    """Two layers whose outputs are added, between a first layer and the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.first = nn.Linear(8, 6)
        self.second = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.flatten(x)).relu()
        out: Tensor = self.last(x + self.second(x).relu())
        return out


def info(classes: int = 3) -> DataInfo:
    return DataInfo("toy", "0", {"train": 8}, (1, 2, 4), classes)


def units(model: nn.Module, **config: Any) -> ChannelUnits:
    return Channels(ChannelsConfig.model_validate(config)).prunebench_units(
        model, info(), torch.zeros(1, *info().shape)
    )


def owned(found: ChannelUnits) -> list[list[tuple[str, int, str, list[list[int]]]]]:
    return [[(m.parameter, m.dim, m.role, m.indices.tolist()) for m in members] for members in found.members()]


class TestChannels(UnitsContract):
    component = {"use": "channels"}

    def model(self) -> nn.Module:
        return conv_net()


class TestChannelsOfResiduals(UnitsContract):
    component = {"use": "channels", "combine": "mean"}

    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return Residual()


class TestChannelsThatMayAllGo(UnitsContract):
    component = {"use": "channels", "keep_at_least": 0, "combine": "max"}

    def model(self) -> nn.Module:
        return conv_net(conv2=nn.Conv2d(5, 4, 3, padding=1, bias=False))


def test_a_channel_owns_what_makes_it_its_norm_and_what_reads_it() -> None:
    five, pixels = [[u] for u in range(5)], [[*range(8 * u, 8 * u + 8)] for u in range(4)]
    assert owned(units(conv_net())) == [
        [
            ("conv1.weight", 0, "out", five),
            ("norm.weight", 0, "norm", five),
            ("norm.bias", 0, "bias", five),
            ("conv2.weight", 1, "in", five),
        ],
        [
            ("conv2.weight", 0, "out", five[:4]),
            ("conv2.bias", 0, "bias", five[:4]),
            ("fc.weight", 1, "in", pixels),
        ],
    ]


def test_layers_are_named_after_their_first_producer() -> None:
    assert [(layer.name, layer.count, layer.kind, layer.floor) for layer in units(conv_net()).layers] == [
        ("conv1.weight", 5, "conv", 1),
        ("conv2.weight", 4, "conv", 1),
    ]


def test_layers_that_are_added_are_one_group() -> None:
    (members,) = owned(units(Residual()))
    assert [(name, dim, role) for name, dim, role, _ in members] == [
        ("first.weight", 0, "out"),
        ("first.bias", 0, "bias"),
        ("second.weight", 0, "out"),
        ("second.weight", 1, "in"),
        ("second.bias", 0, "bias"),
        ("last.weight", 1, "in"),
    ]


def test_a_group_of_a_grouped_convolution_goes_as_a_whole() -> None:
    found = units(conv_net(conv1=nn.Conv2d(1, 6, 1), norm=nn.BatchNorm2d(6), conv2=nn.Conv2d(6, 4, 1, groups=2)))
    (members,) = owned(found)
    assert [layer.count for layer in found.layers] == [2]
    assert {name: indices for name, dim, role, indices in members} == {
        "conv1.weight": [[0, 1, 2], [3, 4, 5]],
        "conv1.bias": [[0, 1, 2], [3, 4, 5]],
        "norm.weight": [[0, 1, 2], [3, 4, 5]],
        "norm.bias": [[0, 1, 2], [3, 4, 5]],
        "conv2.weight": [[0, 1], [2, 3]],
        "conv2.bias": [[0, 1], [2, 3]],
        "fc.weight": [[*range(16)], [*range(16, 32)]],
    }
    small = found.shrink(found._model, Mask((torch.tensor([False, True]),)))
    assert small.get_submodule("conv2").groups == 1


def test_a_channel_scores_what_makes_it_and_not_what_reads_it() -> None:
    model = conv_net()
    scores = units(model).reduce(lambda name, weight: weight.abs())
    conv, norm = model.get_submodule("conv1"), model.get_submodule("norm")
    expected = conv.weight.abs().sum((1, 2, 3)) + norm.weight.abs() + norm.bias.abs()  # type: ignore[operator, union-attr]
    assert torch.allclose(scores.values[0], expected)


@pytest.mark.parametrize(("combine", "expected"), [("sum", [5.0, 7.0]), ("mean", [2.5, 3.5]), ("max", [4.0, 5.0])])
def test_members_combine_as_the_file_says(combine: str, expected: list[float]) -> None:
    scores = units(conv_net(), combine=combine).combine([torch.tensor([1.0, 5.0]), torch.tensor([4.0, 2.0])])
    assert scores.tolist() == expected


def test_a_removed_channel_zeroes_all_that_it_owns() -> None:
    found = units(conv_net())
    keep = found.expand(Mask((torch.tensor([True, False, True, True, True]), torch.ones(4, dtype=torch.bool))))
    gone = {name: int((~kept).sum()) for name, kept in keep.items()}
    assert gone == {
        "conv1.weight": 9,
        "norm.weight": 1,
        "norm.bias": 1,
        "conv2.weight": 4 * 9,
        "conv2.bias": 0,
        "fc.weight": 0,
    }


def test_patterns_and_kinds_choose_groups() -> None:
    assert [layer.name for layer in units(conv_net(), include=["conv1*"]).layers] == ["conv1.weight"]
    assert [layer.name for layer in units(conv_net(), exclude=["conv1*"]).layers] == ["conv2.weight"]
    assert [layer.name for layer in units(Residual(), kinds=["linear"]).layers] == ["first.weight"]
    with pytest.raises(PlanError, match="no group is left"):
        units(conv_net(), kinds=["heads"])


def test_a_pattern_that_matches_nothing_names_the_nearest() -> None:
    with pytest.raises(PlanError, match=r'include: "conv3\*" matches no group of channels.*"conv'):
        units(conv_net(), include=["conv3*"])


def test_a_pattern_of_what_cannot_be_pruned_says_why() -> None:
    with pytest.raises(PlanError, match=r'"fc\*" matches "fc.weight", whose channels cannot be .*the classifier'):
        units(conv_net(), include=["fc*"])


class FixedSize(nn.Module):
    """Its code knows how many channels there are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 5, 2, 4)


def test_a_channel_that_a_sigmoid_lifts_from_zero_is_a_unit_because_nothing_reads_it() -> None:
    model = conv_net(act=nn.Sigmoid())
    assert [layer.name for layer in units(model).layers] == ["conv1.weight", "conv2.weight"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"norm": nn.LayerNorm([5, 2, 4])}, "norm normalises over them"),
        ({"norm": nn.GroupNorm(1, 5)}, "norm normalises over them"),
        ({"norm": nn.BatchNorm2d(5, affine=False)}, "norm has no scale and shift"),
        ({"act": nn.Softmax(1)}, "a channel of zeros is not the same as none"),
        ({"act": FixedSize()}, "the network cannot run without some of them"),
    ],
)
def test_what_cannot_be_a_unit_is_left_out_with_the_reason(more: dict[str, nn.Module], reason: str) -> None:
    found = units(conv_net(**more))
    assert [layer.name for layer in found.layers] == ["conv2.weight"]
    assert reason in found.excluded["conv1.weight"]


def test_channels_that_are_the_outputs_are_no_units() -> None:
    model = nn.Sequential(
        OrderedDict(flatten=nn.Flatten(), hidden=nn.Linear(8, 4), head=nn.Linear(4, 3), act=nn.ReLU())
    )
    assert [layer.name for layer in units(model).layers] == ["hidden.weight"]


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no way through")


def test_a_network_that_cannot_be_traced_names_the_module_and_the_reason() -> None:
    with pytest.raises(PlanError, match=r'module "act": RuntimeError: no way through'):
        units(conv_net(act=Broken()))


class Tied(nn.Module):
    """Two convolutions with one weight, between two that have their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.one, self.other = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.other.weight = self.one.weight
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.other(self.one(self.first(x).relu()).relu()).relu()
        return self.head(self.last(hidden).relu().mean((2, 3)))  # type: ignore[no-any-return]


def test_channels_of_a_parameter_that_two_modules_share_are_left_out() -> None:
    found = units(Tied())
    assert [layer.name for layer in found.layers] == ["last.weight"]
    assert "other.weight is the very parameter of another module too" in found.excluded.values()


def test_a_network_is_left_as_it_was_and_nothing_is_drawn() -> None:
    model = conv_net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    drawn = torch.get_rng_state()
    units(model)
    assert torch.equal(drawn, torch.get_rng_state())
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_was_found_does_not_depend_on_the_values_of_the_weights() -> None:
    model = conv_net()
    first = owned(units(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    assert owned(units(model)) == first


def channels(**changes: Any) -> dict[str, Any]:
    return {
        "model": {"use": "timm", "name": "test_resnet"},
        "train": {"horizon": "3it", "batch": 16},
        "measure": {"every": "3it"},
        "entry": [{"name": "imp", "units": {"use": "channels", **changes}}],
    }


def test_rounds_of_channels_are_pruned_trained_and_judged(tmp_path: Path) -> None:
    judged = rows(run(tmp_path, channels()))
    assert {row["outcome"] for row in judged} == {"ok"}
    assert all(row["density_all"] < 1 for row in judged if row["density"] < 1)


def test_a_density_below_the_floors_is_refused_before_anything_trains(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layers keep at least"):
        run(tmp_path, channels(keep_at_least=10_000))


@pytest.mark.slow
def test_a_search_that_does_not_end_is_given_up_and_the_rest_goes_on() -> None:
    # torch-pruning goes round and round at the concatenated channels of this network.
    with torch.device("meta"):
        model = timm.create_model("rexnet_100", num_classes=10)
    size = DataInfo("noise", "0", {"train": 8}, (3, 32, 32), 10)
    found = Channels(ChannelsConfig()).prunebench_units(model, size, torch.zeros(1, *size.shape))
    name = "features.7.conv_pwl.conv"
    assert found.excluded[f"{name}.weight"] == f"{name}: the search for what depends on its channels does not end"
    assert found.count > 100


def test_a_layer_that_computes_its_weight_says_so() -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(6, 3))
    nn.utils.parametrizations.spectral_norm(model[2])
    with pytest.raises(CannotTakePart, match="2 computes its weight from other parameters"):
        units(model)
