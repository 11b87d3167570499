"""A step with 80 % of the weights masked against a dense step, both in prunebench's loop.

Masking keeps the arithmetic dense: what is compared is the price of keeping pruned weights exactly zero.
"""

from __future__ import annotations

import torch
from interleave import Row, pair_ratios, row, show
from workloads import OPTIMIZERS, advancing, our_loop, workloads

from prunebench.engine.loop import Training

TARGET = 1.05
PAIRS = 61
DENSITY = 0.2


def measure() -> list[Row]:
    """One line for each network and optimizer."""
    rows = []
    for workload in workloads():
        for optimizer in OPTIMIZERS:
            masked, dense = our_loop(workload, optimizer, DENSITY), our_loop(workload, optimizer)
            ratios = pair_ratios(advancing(masked, workload.steps), advancing(dense, workload.steps), PAIRS)
            check_masked(masked)
            rows.append(
                row(f"masked step, {workload.name}, {optimizer}", ratios, TARGET, "of a dense step, density 0.2")
            )
    return rows


def check_masked(training: Training) -> None:
    """Raises AssertionError if a pruned weight has moved: then the masked loop was not one."""
    assert training.mask is not None
    assert training.units is not None
    keep = training.units.expand(training.mask)
    for name, weight in training.model.named_parameters():
        if name in keep and bool(weight[~keep[name]].any()):
            raise AssertionError(f"{name}: a pruned weight is not zero")


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
