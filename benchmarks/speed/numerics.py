"""The declared variants of the step (`numerics`, `memory_format`, `compile`) against the plain float32 step.

ResNet-20 on images of CIFAR-10's size. A variant has keys of its own: these are choices of a recipe, not the loop's.
"""

from __future__ import annotations

from typing import Any

import torch
from interleave import Row, pair_ratios, row, show
from workloads import Workload, advancing, images, our_loop, recipe_with

from prunebench_plugins.models.architectures import CifarResNet

PAIRS = 3
VARIANTS: dict[str, tuple[dict[str, Any], float]] = {
    "channels_last": ({"memory_format": "channels_last"}, 1.0),
    "bf16": ({"numerics": "bf16"}, 1.0),
    "bf16, channels_last": ({"numerics": "bf16", "memory_format": "channels_last"}, 0.6),
    "compile": ({"compile": True}, 1.0),
}
"""What each changes, and its target: a variant that is not faster has no use."""


def workload() -> Workload:
    """ResNet-20, a few steps at a time."""
    return Workload("ResNet-20", CifarResNet, images(2_560, (3, 32, 32)), 3)


def measure() -> list[Row]:
    """One line for each variant."""
    rows = []
    for name, (variant, target) in VARIANTS.items():
        ours, plain = our_loop(workload(), "SGD", recipe=recipe_with(**variant)), our_loop(workload(), "SGD")
        ratios = pair_ratios(advancing(ours, 3), advancing(plain, 3), PAIRS)
        rows.append(row(f"step in {name}, ResNet-20", ratios, target, "of the plain step, batch 128"))
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
