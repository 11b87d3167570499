"""What units reach of a network, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from prunebench.api.info import DataInfo
from prunebench.kernels.coverage import coverage
from prunebench.kernels.parameter_kinds import parameter_kinds
from prunebench_plugins.units.channels import Channels, ChannelsConfig
from prunebench_plugins.units.weights import Weights, WeightsConfig

INFO = DataInfo("noise", "0", {"train": 8}, (3, 8, 8), 5)
IMAGE = torch.zeros(1, *INFO.shape)


class Mixed(nn.Module):
    """A parameter of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.rnn, self.cell = nn.LSTM(4, 6, batch_first=True), nn.GRUCell(6, 6)
        self.attention, self.mix = nn.MultiheadAttention(6, 2, batch_first=True), nn.Bilinear(6, 6, 6)
        self.table, self.bare = nn.Embedding(7, 6), nn.Parameter(torch.zeros(6, 6))
        self.gain, self.head = nn.Parameter(torch.ones(6)), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rnn(self.norm(self.conv(x)).flatten(2).transpose(1, 2))[0]
        x = self.attention(x, x, x)[0].mean(1)
        x = self.cell(self.mix(x, x) @ self.bare) * self.gain + self.table.weight[0]
        out: torch.Tensor = self.head(x)
        return out


def of(model: nn.Module, **config: Any) -> dict[str, str]:
    return {
        layer.name: layer.kind
        for layer in Weights(WeightsConfig.model_validate(config)).prunebench_units(model, INFO, IMAGE).layers
    }


def test_every_parameter_has_a_kind() -> None:
    with torch.device("meta"):
        model = Mixed()
    kinds = {name: kind.kind for name, kind in parameter_kinds(model).items()}
    assert list(kinds) == [name for name, _ in model.named_parameters()]
    assert {name: kind for name, kind in kinds.items() if kind not in ("bias", "norm")} == {
        "bare": "other",
        "gain": "vector",
        "conv.weight": "conv",
        "rnn.weight_ih_l0": "recurrent",
        "rnn.weight_hh_l0": "recurrent",
        "cell.weight_ih": "recurrent",
        "cell.weight_hh": "recurrent",
        "attention.in_proj_weight": "attention",
        "attention.out_proj.weight": "linear",
        "mix.weight": "bilinear",
        "table.weight": "embedding",
        "head.weight": "linear",
    }
    assert kinds["attention.out_proj.bias"] == kinds["attention.in_proj_bias"] == kinds["rnn.bias_hh_l0"] == "bias"
    assert kinds["norm.weight"] == kinds["norm.bias"] == "norm"


def test_every_floating_point_parameter_can_be_reached_by_name() -> None:
    with torch.device("meta"):
        model = Mixed()
    for name, _ in model.named_parameters():
        assert list(of(model, include=[name], classifier=True)) == [name]


def test_a_pattern_that_matches_candidates_means_those_alone() -> None:
    with torch.device("meta"):
        model = Mixed()
    assert list(of(model, include=["attention.*"])) == ["attention.out_proj.weight"]
    assert list(of(model, include=["rnn.*"], exclude=["*bias*"])) == ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]
    assert set(of(model, kinds=["recurrent", "bilinear"])) == {
        *("rnn.weight_ih_l0", "rnn.weight_hh_l0", "cell.weight_ih", "cell.weight_hh", "mix.weight")
    }


def test_what_stays_dense_is_said_with_its_reason() -> None:
    with torch.device("meta"):
        model = Mixed()
    units = Weights(WeightsConfig(exclude=("attention*",))).prunebench_units(model, INFO, IMAGE)
    found = coverage(model, units)
    total = sum(p.numel() for p in model.parameters())
    assert (found.values, found.prunable) == (total, units.count)
    assert sum(one.values for one in found.dense) == total - units.count
    reasons = {name: one.reason for one in found.dense for name in one.names}
    assert reasons.keys() == dict(model.named_parameters()).keys() - {"conv.weight"}
    assert reasons["head.weight"] == reasons["head.bias"] == "the classifier (its outputs are the network's)"
    assert reasons["attention.out_proj.weight"] == "left out by `exclude`"
    assert reasons["rnn.weight_hh_l0"] == "of the kind recurrent, which is not in `kinds`"
    assert reasons["bare"] == "of the kind other, which is not in `kinds`"
    assert reasons["norm.bias"] == "of a norm layer"
    assert f"{units.count:,} of {total:,} parameters may be pruned" in str(found)
    included = Weights(WeightsConfig(include=("attention*",))).prunebench_units(model, INFO, IMAGE)
    assert included.excluded["conv.weight"] == "not in `include`"


def test_a_tied_weight_is_one_parameter_under_any_of_its_names() -> None:
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Flatten(), nn.Embedding(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(192, 4), nn.Linear(4, 5)
        )
        model[2].weight = model[1].weight
        model[3].weight = model[1].weight
    assert of(model, include=["3.weight"]) == {"1.weight": "linear"}
    total = sum(p.numel() for p in model.parameters())
    units = Weights(WeightsConfig()).prunebench_units(model, INFO, IMAGE)
    assert coverage(model, units).values == total
    assert [layer.name for layer in units.layers] == ["1.weight", "4.weight"]


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_channels_say_it_too(name: str) -> None:
    info = DataInfo("noise", "0", {"train": 8}, (3, 32, 32), 10)
    with torch.device("meta"):
        size = {"img_size": 32} if name.startswith("vit") else {}
        model = timm.create_model(name, num_classes=10, **size)
    units = Channels(ChannelsConfig()).prunebench_units(model, torch.zeros(1, *info.shape))
    found = coverage(model, units)
    assert 0 < found.prunable < found.values
    assert found.prunable + sum(one.values for one in found.dense) == found.values
    if name.startswith("vit"):
        assert any("normalises over them" in one.reason for one in found.dense)
