"""Shuffled tickets: each layer keeps its density and its weights, but not which of them live.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 2.3
(preserve LPR, equivalent to shuffling the mask within each layer).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.tickets import Ticket

if TYPE_CHECKING:
    from prunebench.api.random import Rng


class ShuffleWithinLayer:
    """Permutes the mask inside each layer."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, rng: Rng) -> Ticket:
        """The same weights under a mask with as many units in every layer; an unpruned ticket stays as it is."""
        if ticket.mask is None:
            return ticket
        import torch

        from prunebench.api.masks import Mask

        shuffled = (
            keep[torch.from_numpy(rng.permutation(keep.numel(), layer))] for layer, keep in enumerate(ticket.mask.keep)
        )
        return replace(ticket, mask=Mask(tuple(shuffled)))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `shuffle-within-layer`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("shuffle-within-layer", ComponentConfig, ShuffleWithinLayer, version=1, paper=paper)
