"""LAMP: magnitudes that can be compared across layers, so that a global cut finds the layers' densities.

A weight's score is its square over the sum of the squares of the layer's weights that are no smaller than it: what its
removal distorts of the layer, given that all smaller ones are gone. The largest weight of each layer scores 1.

Source: Lee et al. 2021 (Layer-adaptive sparsity for the magnitude-based pruning), equation 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Scores, Units
    from prunebench.api.planning import Request


class Lamp:
    """Scores w^2 / (the sum of the squares from it up, in the order of magnitudes)."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "lamp")

    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        """The score of every weight, in float64; a dead one's is 0. Of equal ones the earlier counts as the larger."""
        return units.reduce(lambda name, weight: lamp(weight.reshape(-1)).reshape(weight.shape))


def lamp(weights: Tensor) -> Tensor:
    """The scores of one layer's weights, 1-D."""
    squares, order = weights.double().square().sort(descending=True, stable=True)
    # A layer of zeros alone has nothing to divide by.
    scores = (squares / squares.cumsum(0)).nan_to_num(nan=0.0)
    return scores.new_zeros(len(weights)).scatter(0, order, scores)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `lamp`."""
    yield Component("lamp", ComponentConfig, Lamp, version=1, paper="Lee et al. 2021")
