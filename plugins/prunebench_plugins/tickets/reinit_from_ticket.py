"""Tickets reinitialised from themselves: each layer's weights are drawn from the values that survived in that layer.

It tells the distribution of a winning ticket's weights from their places. Of a ticket that was rewound to the start
these are initial values; of a late one, the values that it was rewound to. Biases and normalisation stay as they are.

Source: Frankle & Carbin 2019, appendix F.3, figure 17.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.tickets import Ticket

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prunebench.api.masks import Units
    from prunebench.api.random import Rng


class ReinitFromTicketConfig(ComponentConfig):
    """`replacement`: draw each weight on its own (a value may come twice), or deal the values out anew.

    The paper speaks of sampling from the distribution, which is with replacement, and says no more.
    """

    replacement: bool = True


class ReinitFromTicket:
    """Surviving values at other surviving places of their layer."""

    def __init__(self, config: ReinitFromTicketConfig) -> None:
        self._replacement = config.replacement

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, units: Units, rng: Rng) -> Ticket:
        """The same mask; of each parameter that the units touch, the living weights are drawn from the living."""
        import torch

        from prunebench.api.masks import Mask

        weights = dict(ticket.weights)
        mask = Mask.full(units.layers) if ticket.mask is None else ticket.mask
        for name, keep in units.expand(mask).items():
            values = weights[name][keep]
            count = values.numel()
            if count:
                places = self._places(rng.child(name), count)
                weights[name] = weights[name].masked_scatter(keep, values[torch.from_numpy(places)])
        return replace(ticket, weights=weights)

    def _places(self, rng: Rng, count: int) -> NDArray[np.int64]:
        if not self._replacement:
            return rng.permutation(count)
        # The remainder of 64 random bits; only bit generators promise never to change.
        return (rng.numpy().bit_generator.random_raw(count) % count).astype("int64")


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `reinit-from-ticket`."""
    paper = "Frankle & Carbin 2019, appendix F.3"
    yield Component("reinit-from-ticket", ReinitFromTicketConfig, ReinitFromTicket, version=1, paper=paper)
