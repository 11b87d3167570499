"""Measuring the utility of a random set of weights of ResNet-20 on 10,000 images, against the loop one would write.

That loop copies the network, sets the weights to zero and goes through a `DataLoader` with batches of 128, adding up
the divergence in single precision. It is timed twice: with the whole network's outputs kept from the start, and
computing them beside the ablated ones each time. prunebench's preparations (one more pass over the images) serve all
sets of a state, 3,000 by default, and are not timed; nor is the loop's keeping of outputs.

The ratio depends on how the naive loop fares: at batch 128 most of its time beyond arithmetic is page faults, which
glibc's allocator takes for every large tensor and another allocator, or smaller batches, do not. On another machine
and at other hours 0.43x to 0.75x of the loop with kept outputs were measured; 0.32x is what this machine gave.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax
from torch.utils.data import DataLoader, TensorDataset

from prunebench.api.data import Gather, Resident
from prunebench.api.random import Rng
from prunebench.kernels.weight_units import layer_weights
from prunebench_plugins.analyses._subsets import random_subset
from prunebench_plugins.analyses._utility import Images, Utility
from prunebench_plugins.models.architectures import CifarResNet

TARGET = 1 / 3
IMAGES = 10_000
SHARE = 0.1
PAIRS = 3


def measure() -> list[Row]:
    """One line for each of the two loops."""
    model, data = fresh(), images(IMAGES)
    alive = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in layer_weights(model)}
    utility = Utility(model, alive, Images(data, None))
    chosen = random_subset(Rng("speed"), utility.count, round(SHARE * utility.count), 0)
    (whole,) = data.batches([Gather(torch.arange(IMAGES))])
    pixels = whole[0]
    kept = outputs(model, DataLoader(TensorDataset(pixels), batch_size=128))
    rows = []
    for name, reference in (("its outputs kept", kept), ("its outputs computed each time", None)):
        loop = naive(model, alive, chosen, pixels, reference)
        agree(utility.of(chosen)[0], loop())
        ratios = pair_ratios(lambda: utility.of(chosen), loop, PAIRS)
        note = f"ResNet-20, {IMAGES:,} images, {SHARE:.0%} of the weights, {torch.get_num_threads()} thread"
        rows.append(row(f"utility of a set / naive loop, {name}", ratios, TARGET, note))
    return rows


def naive(
    model: nn.Module, alive: dict[str, Tensor], chosen: Tensor, pixels: Tensor, reference: Tensor | None
) -> Callable[[], float]:
    """The loop: utility of the chosen weights, numbered layer by layer."""
    loader = DataLoader(TensorDataset(pixels), batch_size=128)
    ablated = torch.zeros(sum(keep.numel() for keep in alive.values()), dtype=torch.bool)
    ablated[chosen] = True
    masks = dict(zip(alive, torch.split(ablated, [keep.numel() for keep in alive.values()]), strict=True))

    @torch.no_grad()
    def work() -> float:
        other = copy.deepcopy(model)
        for name, mask in masks.items():
            parameter = other.get_parameter(name)
            parameter[mask.view_as(parameter)] = 0.0
        total = 0.0
        for index, (batch,) in enumerate(loader):
            first = 128 * index
            before = log_softmax(model(batch), 1) if reference is None else reference[first : first + 128]
            total += kl_div(log_softmax(other(batch), 1), before, reduction="sum", log_target=True).item()
        return total / len(pixels)

    return work


@torch.no_grad()
def outputs(model: nn.Module, loader: DataLoader[tuple[Tensor, ...]]) -> Tensor:
    """The log-probabilities of all images."""
    return torch.cat([log_softmax(model(batch), 1) for (batch,) in loader])


def agree(ours: float, theirs: float) -> None:
    """Raises AssertionError if the two do not measure the same."""
    if abs(ours - theirs) > 1e-3 * theirs:
        raise AssertionError(f"utility {ours} against {theirs} in the naive loop")


def fresh() -> nn.Module:
    """ResNet-20, the same each time, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CifarResNet().eval()


def images(count: int) -> Resident:
    """Images of CIFAR-10's size: what they show does not change what a pass costs."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return Resident(pixels, labels, (0.5,) * 3, (0.25,) * 3)


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
