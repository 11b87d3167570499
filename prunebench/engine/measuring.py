"""Loss and accuracy on a split, without touching the training streams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from prunebench.data import Data, Gather, Split, in_order

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


@torch.no_grad()
def measure_split(model: nn.Module, split: Split, gathers: Iterator[Gather]) -> dict[str, float]:
    """Mean cross-entropy in nats, and accuracy, over the images of `gathers`; the model is in evaluation mode."""
    loss = correct = count = None
    for images, labels in split.batches(gathers):
        logits = model(images)
        # Sums on the device, in float64: one synchronisation a split, not one a batch.
        a = functional.cross_entropy(logits, labels, reduction="sum").double()
        b = (logits.argmax(1) == labels).sum()
        loss, correct = (a, b) if loss is None or correct is None else (loss + a, correct + b)
        count = labels.numel() + (count or 0)
    if loss is None or correct is None or not count:
        return {}
    return {"loss": float(loss) / count, "accuracy": int(correct) / count}


def measure(model: nn.Module, data: Data, splits: Sequence[str], train_sample: int | None) -> dict[str, Any]:
    """{"split/metric": value} of a model, which is left in the mode it was in; None where a value is not finite."""
    training = model.training
    model.eval()
    found: dict[str, Any] = {}
    for name in splits:
        split = data[name]
        sample = train_sample if name == "train" and train_sample is not None else split.size
        values = measure_split(model, split, sampled(split.size, sample))
        found.update({f"{name}/{m}": value if math.isfinite(value) else None for m, value in values.items()})
    model.train(training)
    return found
