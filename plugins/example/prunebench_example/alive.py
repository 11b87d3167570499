"""How many outputs of each layer are still fed by a weight: a neuron without inputs is only its bias.

Source: an example of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs

if TYPE_CHECKING:
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request


class Alive:
    """Reads the masks of an entry's tickets."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The entry's tickets of all rounds, as they are judged."""
        from prunebench.api.planning import Needs

        return Needs({"tickets": request.tickets})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """For each pruned weight and round, under the weight's name: the share of its outputs with an input left."""
        return Analysis(
            tuple(
                Measurement(name, float(keep.flatten(1).any(1).float().mean()), "fraction", ticket.round)
                for ticket in inputs["tickets"]
                if ticket.mask is not None
                for name, keep in units.expand(ticket.mask).items()
            )
        )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `alive`."""
    yield Component("alive", ComponentConfig, Alive, version=1, paper="an example")
