"""What rules share: which units of a layer stand highest, in runs that may be about to diverge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prunebench.kernels.selection import keep_highest

if TYPE_CHECKING:
    from prunebench.api.masks import Units


def magnitudes(units: Units) -> tuple[Tensor, ...]:
    """|w| of every unit as the weights are now, layer by layer."""
    return tuple(orderly(values) for values in units.reduce(lambda name, weight: weight.abs()).values)


def orderly(scores: Tensor) -> Tensor:
    """Scores without NaN, which counts as least."""
    # The engine sees that a run diverged only some steps later; until then a NaN must not end it as an error.
    return scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)


def highest(scores: Tensor, among: Tensor, count: int) -> Tensor:
    """The `count` highest of one layer's units in `among`, as a bool tensor on the CPU; `count` may be 0."""
    return keep_highest((scores,), (among,), count)[0] if count else torch.zeros_like(among)


def cubic(first: int, final: int, start: int, end: int, step: int) -> int:
    """Units after the pruning in `step`: round(final + (first - final) * (1 - (step - start) / (end - start)) ** 3).

    Source: Zhu & Gupta 2017, equation 1, in counts instead of sparsities.
    """
    left = 1 - (step - start) / (end - start) if step < end else 0.0
    return round(final + (first - final) * left**3)
