"""Rescaled tickets: what is left of each layer gets the variance that its initialisation would give its size.

Random pruning leaves each output with fewer inputs and so with a smaller sum; He initialisation of the smaller layer
has a variance that is larger by the inverse of the density of the layer. Where channels go, that is the density of
what is left of its outputs: outputs that are gone take no inputs from the others.

Source: the pruning-mechanism paper, section 2.2.1; He et al. 2015, equation 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.tickets import Ticket

if TYPE_CHECKING:
    from prunebench.api.masks import Units


class RescaleVariance:
    """Multiplies each layer's kept weights by 1 / sqrt(share of the inputs that its outputs keep)."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, units: Units) -> Ticket:
        """The same mask; weights of layers that lost units are larger. Vectors (biases, scales) stay as they are."""
        if ticket.mask is None:
            return ticket
        weights = dict(ticket.weights)
        whole_channels = any(units.members())
        for name, keep in units.expand(ticket.mask).items():
            if keep.dim() < 2:
                continue
            rows = keep.flatten(1)
            if whole_channels:
                rows = rows[rows.any(1)]
            kept = int(rows.sum())
            if 0 < kept < rows.numel():
                weights[name] = weights[name] * math.sqrt(rows.numel() / kept)
        return replace(ticket, weights=weights)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `rescale-variance`."""
    paper = "He et al. 2015, equation 10"
    yield Component("rescale-variance", ComponentConfig, RescaleVariance, version=2, paper=paper)
