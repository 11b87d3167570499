"""Measuring ResNet-20 on 2,000 images as prunebench does, against the network called with 1,000 images at a time.

Sums round over 1,000 examples in both, and the metrics agree in every bit; what differs is how many images pass
through the network at a time.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor
from workloads import images

from prunebench.api.data import in_order
from prunebench.engine.measuring import BATCH
from prunebench.kernels.batch_size import in_parts
from prunebench.kernels.evaluation import evaluate
from prunebench.testing import task_of
from prunebench_plugins.models.architectures import CifarResNet

IMAGES, PAIRS = 2_000, 3


def measure() -> list[Row]:
    """One line; the page faults of both are in its note."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CifarResNet().eval()
    split, task = images(IMAGES, (3, 32, 32)), task_of({"use": "classification"})

    def looking(network: Callable[[Tensor], Tensor]) -> Callable[[], dict[str, float]]:
        @torch.no_grad()
        def look() -> dict[str, float]:
            return evaluate(network, task, split.batches(in_order(IMAGES, BATCH)))[0]

        return look

    ours, whole = looking(in_parts(model)), looking(model)
    if ours() != whole():
        raise AssertionError("the metrics differ")
    faults = [_faults(look) for look in (ours, whole)]
    note = f"of 1,000 at a time, bit-equal; {faults[0]:,} page faults against {faults[1]:,}"
    return [row("measuring ResNet-20", pair_ratios(ours, whole, PAIRS), 0.6, note)]


def _faults(look: Callable[[], object]) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    look()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
