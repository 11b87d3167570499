"""A network with channels small enough to reason about, and its units written out by hand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Member, Scores, Units


def channel_net(norm: bool = True) -> nn.Sequential:
    """A network for ToyData, always the same: 5 channels of conv1, 4 of conv2 that fc reads as 8 pixels each."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = nn.Conv2d(1, 5, 3, padding=1, bias=not norm)
        if norm:
            layers["bn1"] = nn.BatchNorm2d(5)
        layers["relu1"] = nn.ReLU()
        layers["conv2"] = nn.Conv2d(5, 4, 3, padding=1, bias=not norm)
        if norm:
            layers["bn2"] = nn.BatchNorm2d(4)
        layers["relu2"] = nn.ReLU()
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(4 * 8, 3)
        net = nn.Sequential(layers)
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.uniform_(-1, 1)
                    module.bias.uniform_(-1, 1)
                    module.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
                    module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        return net


def rows(count: int, width: int = 1) -> Tensor:
    """Indices of units that own `width` slices each, one after the other."""
    return torch.arange(count * width).reshape(count, width)


class HandUnits(Units):
    """The channels of `channel_net`; a unit's score is the sum over what it owns, divided by the number of members."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        norm = "bn1.weight" in dict(model.named_parameters())
        self.layers = (Layer("conv1", 0, 5, "conv"), Layer("conv2", 5, 4, "conv"))
        self._members: list[list[Member]] = []
        for number, (count, reader, width) in enumerate([(5, "conv2.weight", 1), (4, "fc.weight", 8)], start=1):
            members = [Member(f"conv{number}.weight", 0, rows(count), "out")]
            if norm:
                members.append(Member(f"bn{number}.weight", 0, rows(count), "norm"))
            bias = f"bn{number}.bias" if norm else f"conv{number}.bias"
            members += [Member(bias, 0, rows(count), "bias"), Member(reader, 1, rows(count, width), "in")]
            self._members.append(members)

    def members(self) -> Sequence[Sequence[Member]]:
        return self._members

    def combine(self, scores: Sequence[Tensor]) -> Tensor:
        return torch.stack([*scores]).mean(0)

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        parameters = dict(self._model.named_parameters())
        return Scores(
            tuple(
                self.combine([m.slices(score(m.parameter, parameters[m.parameter].detach())).sum(1) for m in members])
                for members in self._members
            )
        )

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        keep = {name: torch.ones(p.shape, dtype=torch.bool) for name, p in self._model.named_parameters()}
        for members, alive in zip(self._members, mask.keep, strict=True):
            for member in members:
                dead = member.indices[~alive].reshape(-1)
                keep[member.parameter].index_fill_(member.dim, dead, False)
        return keep


class Joined(Units):
    """Two convolutions whose outputs are added, as a residual connection does: 3 channels, two producers each."""

    def __init__(self, rule: Literal["sum", "max"] = "sum") -> None:
        self.layers = (Layer("a", 0, 3, "conv"),)
        self.rule = rule

    def members(self) -> Sequence[Sequence[Member]]:
        return [[Member(f"{n}.{p}", 0, rows(3), r) for n, p, r in _JOINED]]

    def combine(self, scores: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack([*scores])
        return stacked.sum(0) if self.rule == "sum" else stacked.amax(0)

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        raise AssertionError("not asked for here")

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        return {}


_JOINED: Sequence[tuple[str, str, Literal["out", "norm"]]] = (
    ("a", "weight", "out"),
    ("b", "weight", "out"),
    ("n", "weight", "norm"),
    ("m", "weight", "norm"),
)


def joined_net() -> nn.ModuleDict:
    """What Joined's channels own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        net = nn.ModuleDict(
            {"a": nn.Conv2d(2, 3, 3), "b": nn.Conv2d(4, 3, 1), "n": nn.BatchNorm2d(3), "m": nn.BatchNorm2d(3)}
        )
        with torch.no_grad():
            for name in ("n", "m"):
                net.get_parameter(f"{name}.weight").uniform_(-1, 1)
        return net
