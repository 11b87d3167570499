"""Loss and accuracy on a split, without touching the training streams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.api.data import Data, Gather, Split, in_order

BATCH = 1_000
"""Images a batch when measuring. Part of the engine's version: sums round in this order."""


def sampled(size: int, sample: int) -> Iterator[Gather]:
    """An evenly spaced, fixed sample of a split, un-augmented."""
    if sample >= size:
        yield from in_order(size, BATCH)
        return
    indices = torch.arange(sample) * size // sample
    for part in torch.split(indices, BATCH):
        yield Gather(part)


@dataclass(frozen=True)
class Measured:
    """What one look at a model gave.

    Args:
        values: {"split/metric": number}; None where a number is not finite.
        hits: for each split, a bool for every image in order: whether it was classified correctly.
    """

    values: Mapping[str, float | None]
    hits: Mapping[str, Tensor]


@torch.no_grad()
def measure_split(model: nn.Module, split: Split, gathers: Iterator[Gather]) -> tuple[float, Tensor]:
    """Mean cross-entropy in nats over the images of `gathers`, and which of them were classified correctly."""
    losses, hits = [], []
    for images, labels in split.batches(gathers):
        logits = model(images)
        # Sums stay on the device, in float64: one synchronisation a split, not one a batch.
        losses.append(functional.cross_entropy(logits, labels, reduction="sum").double())
        hits.append(logits.argmax(1) == labels)
    correct = torch.cat(hits).cpu()
    return float(torch.stack(losses).sum()) / correct.numel(), correct


def measure(model: nn.Module, data: Data, splits: Sequence[str], train_sample: int | None) -> Measured:
    """Loss and accuracy of a model on splits; the model is left in the mode it was in."""
    training = model.training
    model.eval()
    values: dict[str, float | None] = {}
    hits: dict[str, Tensor] = {}
    for name in splits:
        split = data[name]
        sample = train_sample if name == "train" and train_sample is not None else split.size
        loss, hits[name] = measure_split(model, split, sampled(split.size, sample))
        values[f"{name}/loss"] = loss if math.isfinite(loss) else None
        values[f"{name}/accuracy"] = int(hits[name].sum()) / hits[name].numel()
    model.train(training)
    return Measured(values, hits)


def pack_hits(hits: Tensor) -> bytes:
    """Eight images a byte, the first in the highest bit."""
    packed: bytes = np.packbits(hits.numpy()).tobytes()
    return packed
