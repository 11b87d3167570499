"""Per-output selection: within each layer, every output keeps the same share of the weights that make it.

An output is a row of the layer's weight: a neuron, or a filter. Wanda compares weights in these groups.

Source: Sun et al. 2024 (A simple and effective pruning approach for large language models), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.planning import Request


class PerOutput:
    """Keeps the same share of every output."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "per-output")

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The highest of each output; layers have equal densities.

        Fractions of a unit go to the largest remainders, first among layers, then among a layer's outputs; ties to the
        earlier one.
        """
        from prunebench.api.masks import Mask
        from prunebench.kernels.shares import above_floors, shared

        floors = [layer.floor for layer in units.layers]
        counts = above_floors(shared(count, [layer.count for layer in units.layers], mask.counts), floors, mask.counts)
        keep = []
        for layer, values, alive, kept in zip(units.layers, scores.values, mask.keep, counts, strict=True):
            rows = layer.shape[0] if layer.shape else 1
            living = alive.reshape(rows, -1)
            each = shared(kept, [living.shape[1]] * rows, living.sum(1).tolist())
            keep.append(highest_of_rows(values.cpu().reshape(rows, -1), living, each).reshape(-1))
        return Mask(tuple(keep))


def highest_of_rows(scores: Tensor, alive: Tensor, counts: list[int]) -> Tensor:
    """In each row the highest of those alive, as many as its count; ties fall to the lower column."""
    import torch

    order = scores.argsort(dim=1, descending=True, stable=True)
    # A dead unit may score as much as a living one: those alive come first, in the order that they have.
    order = order.gather(1, (~alive).gather(1, order).to(torch.uint8).argsort(dim=1, stable=True))
    chosen = torch.arange(scores.shape[1]) < torch.tensor(counts)[:, None]
    return torch.zeros_like(alive).scatter(1, order, chosen)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `per-output`."""
    yield Component("per-output", ComponentConfig, PerOutput, version=1, paper="Sun et al. 2024")
