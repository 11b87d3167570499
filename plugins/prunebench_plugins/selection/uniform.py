"""Uniform selection: every layer has the same density, and the total is exact.

Unlike `layerwise`, which rounds in each layer and counts what remains, it shares the chain's count among the layers.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 3.4 (equal LPR in all
layers).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.kernels.shares import above_floors, best_of_each, shared

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units


class Uniform:
    """Keeps the same share of every layer."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The highest of each layer; fractions of a unit go to the largest remainders, ties to the earlier layer.

        A layer that would fall below its floor takes from those with the most above theirs.
        """
        shares = shared(count, [layer.count for layer in units.layers], mask.counts)
        return best_of_each(scores, mask, above_floors(shares, [layer.floor for layer in units.layers], mask.counts))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `uniform`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("uniform", ComponentConfig, Uniform, version=1, paper=paper)
