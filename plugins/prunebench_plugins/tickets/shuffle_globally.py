"""Globally shuffled tickets: the density of the whole network stays, but neither that of a layer nor which units live.

The random baseline of global pruning: a random mask of the same total count. It keeps the ticket's weights; with
`reinit` after it, they are new ones.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 2.3 (random mask).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.tickets import Ticket

if TYPE_CHECKING:
    from prunebench.api.masks import Units
    from prunebench.api.random import Rng


class ShuffleGlobally:
    """Permutes the mask over all units."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, units: Units, rng: Rng) -> Ticket:
        """The same weights under a random mask with as many units; an unpruned ticket stays as it is."""
        if ticket.mask is None:
            return ticket
        import torch

        from prunebench.api.masks import Mask

        order = torch.from_numpy(rng.permutation(ticket.mask.size))
        return replace(ticket, mask=Mask.from_flat(ticket.mask.flat()[order], units.layers))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `shuffle-globally`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("shuffle-globally", ComponentConfig, ShuffleGlobally, version=1, paper=paper)
