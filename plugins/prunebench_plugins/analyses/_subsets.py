"""Which weights are ablated together: random subsets, and intervals of the weights sorted by magnitude."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from prunebench.api.random import Rng


def random_subset(rng: Rng, count: int, size: int, index: int) -> Tensor:
    """The subset number `index` of `size` of `count` things, in ascending order: int64.

    It depends on the stream and these numbers alone: two states of one network are ablated alike.
    """
    raw = rng.numpy(size, index).bit_generator.random_raw(count)
    if size == count:
        return torch.arange(count)
    highest = np.partition(raw, size - 1)[size - 1]
    # Equal raw numbers are as good as impossible; the lower index is taken then.
    return torch.from_numpy(np.flatnonzero(raw <= highest)[:size])


def windows(count: int, size: int, slide: float) -> list[int]:
    """Where intervals of `size` of `count` things begin, each `slide` of its size after the one before.

    The first begins at 0 and the last ends at `count`: with a slide of 1 and a size that divides the count they tile
    it, otherwise the last ones overlap.
    """
    step = max(1, round(slide * size))
    return [*range(0, count - size, step), count - size]


def intervals(magnitudes: Tensor, size: int, slide: float) -> Iterator[tuple[int, Tensor]]:
    """Windows over things sorted by magnitude, smallest first: where each begins, and which it holds."""
    order = torch.sort(magnitudes, stable=True).indices.cpu()
    for start in windows(order.numel(), size, slide):
        yield start, order[start : start + size]
