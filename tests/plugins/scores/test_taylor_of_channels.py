from typing import Any

import pytest
import torch
from channel_toys import HandUnits, channel_net
from torch import Tensor, nn
from torch.nn import functional

from prunebench import ContractError
from prunebench.api.data import Gather
from prunebench.api.masks import Units
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, task_of
from prunebench_plugins.scores.taylor import Taylor, TaylorConfig

CLASSES = task_of({"use": "classification"})

RNG = Streams(0, round=1).rng("score")
GATE = ["norm", "bias"]


class TestTaylorOfGates(ScoreContract):
    component = {"use": "taylor", "group": GATE}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestTaylorOfWeightsInChannels(TestTaylorOfGates):
    component = {"use": "taylor"}


class TestMagnitudeOfChannels(TestTaylorOfGates):
    component = {"use": "magnitude"}


class TestRandomOfChannels(TestTaylorOfGates):
    component = {"use": "random"}


def scored(model: nn.Module, **fields: Any) -> list[Tensor]:
    config = TaylorConfig.model_validate(fields)
    units = HandUnits(model)
    return [*Taylor(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, units, RNG).values]


def batches(size: int, count: int) -> list[tuple[Tensor, Tensor]]:
    order = torch.cat([torch.from_numpy(RNG.permutation(96, epoch)) for epoch in range(4)])
    gathers = [Gather(order[start : start + size]) for start in range(0, size * count, size)]
    return list(ToyData().prunebench_data()["train"].batches(gathers))


class Gated(nn.Module):
    """The network with a factor of 1 behind each norm layer: what a channel's change is the derivative by."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.gates = [torch.ones(5, dtype=torch.float64, requires_grad=True)]
        self.gates.append(torch.ones(4, dtype=torch.float64, requires_grad=True))

    def forward(self, x: Tensor) -> Tensor:
        for name, module in self.net.named_children():
            x = module(x)
            if name.startswith("bn"):
                x = x * self.gates[int(name[2]) - 1].view(1, -1, 1, 1)
        return x


@pytest.mark.parametrize("change", ["squared", "absolute", "total"])
def test_a_group_of_scale_and_shift_scores_as_a_gate_behind_the_norm_layer(change: str) -> None:
    model = channel_net().double().eval()
    gated = Gated(model)
    each: list[list[Tensor]] = [[], []]
    for images, labels in batches(24, 5):
        loss = functional.cross_entropy(gated(images.double()), labels)
        for found, slope in zip(each, torch.autograd.grad(loss, gated.gates), strict=True):
            found.append(slope)
    for values, found in zip(scored(model, group=GATE, change=change, batch=24, batches=5), each, strict=True):
        slopes = torch.stack(found)
        expected = {"squared": (slopes**2).mean(0), "absolute": slopes.abs().mean(0), "total": slopes.mean(0) ** 2}
        torch.testing.assert_close(values, expected[change], rtol=1e-9, atol=1e-15)


def test_a_group_of_filters_adds_changes_before_they_are_squared() -> None:
    model = channel_net(norm=False).double().eval()
    weights = [model.get_parameter(name) for name in ("conv1.weight", "conv1.bias")]
    total = torch.zeros(5, dtype=torch.float64)
    for images, labels in batches(32, 3):
        slopes = torch.autograd.grad(functional.cross_entropy(model(images.double()), labels), weights)
        filters, biases = (slope * weight for slope, weight in zip(slopes, weights, strict=True))
        total += (filters.sum((1, 2, 3)) + biases).detach() ** 2 / 3
    found = scored(model, group=["out", "bias"], batch=32, batches=3)[0]
    torch.testing.assert_close(found, total, rtol=1e-9, atol=1e-15)
    assert not torch.allclose(found, scored(model, batch=32, batches=3)[0], rtol=0.1)


def test_units_that_own_nothing_of_a_group_are_named() -> None:
    with pytest.raises(ContractError, match='taylor: group: the units of layer "conv1" own nothing that is "norm"'):
        scored(channel_net(norm=False), group=["norm"])
