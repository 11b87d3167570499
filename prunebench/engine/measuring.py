"""A task's metrics on splits, without touching the training streams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.api.data import Data, Gather, in_order
from prunebench.api.errors import ContractError
from prunebench.api.task import Metrics, Task
from prunebench.kernels.batch_size import in_parts
from prunebench.kernels.evaluation import Varying, evaluate

BATCH = 1_000
"""Examples a sum when measuring. Part of the engine's version: sums round in this order. Fewer pass through a network
at a time where it computes large tensors (`prunebench.kernels.batch_size`)."""


def sampled(size: int, sample: int) -> Iterator[Gather]:
    """An evenly spaced, fixed sample of a split, un-augmented."""
    if sample >= size:
        yield from in_order(size, BATCH)
        return
    indices = torch.arange(sample) * size // sample
    for part in torch.split(indices, BATCH):
        yield Gather(part)


@dataclass(frozen=True)
class Measuring:
    """What a curve measures: a task, under its name, with the metrics that it says it has."""

    name: str
    task: Task
    metrics: Metrics


@dataclass(frozen=True)
class Measured:
    """What one look at a model gave.

    Args:
        values: {"split/metric": number}; None where a number is not finite.
        correct: for each split, a bool for every example in order: whether the model is right; empty where the task has
            no such notion.
        constant: whether the network gave the same for every example that it saw: it is cut through.
    """

    values: Mapping[str, float | None]
    correct: Mapping[str, Tensor]
    constant: bool = False


@torch.no_grad()
def measure(
    model: nn.Module, measuring: Measuring, data: Data, splits: Sequence[str], train_sample: int | None
) -> Measured:
    """The metrics of a model on splits; the model is left in the mode it was in.

    Raises:
        ContractError: the task gives other metrics than it says it has.
    """
    training = model.training
    model.eval()
    values: dict[str, float | None] = {}
    correct: dict[str, Tensor] = {}
    network = Varying(in_parts(model))
    for name in splits:
        split = data[name]
        sample = train_sample if name == "train" and train_sample is not None else split.size
        found, correct_ones = evaluate(network, measuring.task, split.batches(sampled(split.size, sample)))
        if found.keys() != measuring.metrics.keys():
            raise ContractError(
                f"task {measuring.name}: it measured {', '.join(found)}; prunebench_metrics names "
                f"{', '.join(measuring.metrics)}"
            )
        values.update({f"{name}/{metric}": v if math.isfinite(v) else None for metric, v in found.items()})
        if correct_ones is not None:
            correct[name] = correct_ones
    model.train(training)
    return Measured(values, correct, constant=bool(splits) and not network.varies)


def pack_correct(correct: Tensor) -> bytes:
    """Eight examples a byte, the first in the highest bit."""
    packed: bytes = np.packbits(correct.cpu().numpy()).tobytes()
    return packed
