"""prunebench's training loop against the bare loop that one would write by hand for the same mathematics.

The bare loop has what the mathematics needs and nothing else: it gathers and normalises a batch of resident images,
sets the learning rate, steps the same fused optimizer. It knows no masks, no loss terms, no dropout streams and no
divergence.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import torch
from interleave import Row, pair_ratios, row, show
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from workloads import BATCH, MEAN, OPTIMIZERS, RATES, STD, Workload, advancing, fresh, our_loop, workloads

from prunebench.api.random import Streams

TARGET = 1.05
PAIRS = 61


class BareLoop:
    """A loop as a person writes it for one network on one data set.

    Args:
        orders: an order of the images for each epoch.
    """

    def __init__(self, workload: Workload, optimizer: str, orders: Iterator[Tensor]) -> None:
        self.model = fresh(workload)
        self.optimizer = OPTIMIZERS[optimizer](self.model)
        self.images, self.labels = workload.data.images, workload.data.labels
        self.orders, self.order = orders, torch.empty(0)
        self.step = 0

    def train(self, steps: int) -> None:
        """Take a number of steps more."""
        mean, std = (torch.full((1, self.images.shape[1], 1, 1), value) for value in (MEAN, STD))
        scale, shift = 1 / (255 * std), mean / std
        model, optimizer, per_epoch = self.model, self.optimizer, len(self.labels) // BATCH
        base = 0.01 if isinstance(optimizer, torch.optim.SGD) else 1e-3
        model.train()
        for step in range(self.step, self.step + steps):
            if step % per_epoch == 0:
                self.order = next(self.orders)
            start = step % per_epoch * BATCH
            chosen = self.order[start : start + BATCH]
            images = self.images.index_select(0, chosen).float().mul_(scale).sub_(shift)
            optimizer.param_groups[0]["lr"] = base * RATES[step]
            optimizer.zero_grad()
            functional.cross_entropy(model(images), self.labels.index_select(0, chosen)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        self.step += steps


def check_same_mathematics(workload: Workload, optimizer: str, steps: int = 30) -> None:
    """Train both loops on the same order of images.

    Raises:
        AssertionError: if a single weight or statistic differs in a bit; then the two are not comparable.
    """
    order = Streams(0, 1).rng("order")
    bare = BareLoop(workload, optimizer, _in_stream_order(order.permutation, workload.data.size))
    ours = our_loop(workload, optimizer)
    bare.train(steps)
    advancing(ours, steps)()
    theirs = bare.model.state_dict()
    for name, value in ours.model.state_dict().items():
        if not torch.equal(value, theirs[name]):
            raise AssertionError(f"{workload.name}, {optimizer}: {name} differs after {steps} steps in the same order")


def measure() -> list[Row]:
    """One line for each network and optimizer."""
    rows = []
    for workload in workloads():
        for optimizer in OPTIMIZERS:
            check_same_mathematics(workload, optimizer)
            ours, bare = our_loop(workload, optimizer), BareLoop(workload, optimizer, _shuffled(workload.data.size))
            ratios = pair_ratios(advancing(ours, workload.steps), functools.partial(bare.train, workload.steps), PAIRS)
            rows.append(
                row(
                    f"training loop, {workload.name}, {optimizer}",
                    ratios,
                    TARGET,
                    "of a bare loop, bit-equal in the same order",
                )
            )
    return rows


def _shuffled(size: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    while True:
        yield torch.randperm(size, generator=generator)


def _in_stream_order(permutation: Callable[..., NDArray[np.int64]], size: int) -> Iterator[Tensor]:
    for epoch in count():
        yield torch.from_numpy(permutation(size, epoch))


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
