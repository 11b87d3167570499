"""Multiply-accumulates of one example: of the dense network, and what a mask leaves of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prunebench.api.masks import Mask, Units


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one example; `effective` leaves out those with a weight that is masked."""

    dense: int
    effective: int


def macs_of(model: nn.Module, example: Tensor, units: Units, mask: Mask | None) -> Macs:
    """Counted by torch's flop counter on the meta device, by layer; without biases, normalisation and activations.

    Units that can be taken out are taken out and the smaller network is counted. Of single weights, a layer's share of
    weights kept is the share of its multiplications that count.

    Args:
        model: the network, with parameters of the dense shapes.
        example: a batch of one as the network takes it, such as `Task.example` gives.
    """
    dense = by_layer(model, example)
    total = sum(dense.values())
    if mask is None:
        return Macs(total, total)
    if any(units.members()):
        return Macs(total, sum(by_layer(units.shrink(model, mask), example).values()))
    # Exact shares: a mean in float32 would depend on how the processor sums more than 2^24 weights.
    keep = {name: Fraction(int(kept.sum()), kept.numel()) for name, kept in units.expand(mask).items()}
    return Macs(total, round(sum(macs * keep.get(f"{layer}.weight", Fraction(1)) for layer, macs in dense.items())))


def by_layer(model: nn.Module, example: Tensor) -> Mapping[str, int]:
    """Multiply-accumulates of one example in each module's own operations, by the module's name."""
    try:
        return _counted(model, example, "meta")
    except RuntimeError:
        # A forward pass that looks at values, as to choose between branches, needs values.
        return _counted(model, example, "cpu")


def _counted(model: nn.Module, example: Tensor, device: str) -> Mapping[str, int]:
    # A copy, whose forward pass may not change the running statistics of the original.
    counted = copy.deepcopy(model).to(device).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        counted(example.to(device))
    flops: dict[str, dict[Any, int]] = counter.get_flop_counts()
    root = type(counted).__name__
    inclusive = {
        name.removeprefix(root).removeprefix("."): sum(counts.values()) // 2
        for name, counts in flops.items()
        if name != "Global"
    }
    # The counter gives a module its children's operations too.
    own = dict(inclusive)
    for name, macs in inclusive.items():
        parent = name.rpartition(".")[0]
        while parent not in inclusive and parent:
            parent = parent.rpartition(".")[0]
        if name:
            own[parent] = own.get(parent, 0) - macs
    return {name: macs for name, macs in own.items() if macs}
