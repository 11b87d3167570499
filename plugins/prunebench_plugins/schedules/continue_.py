"""Continued training: the survivors train on round after round, and only the judged ticket is reset.

Each retraining runs the whole clock, from 0 to the horizon. The judged tickets have the initial weights, so what is
compared with `rewind` is the masks alone.

Source: Frankle & Carbin 2019, appendix B, strategy 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class Continue:
    """Weights carry on while masks are found, and go back to the start to be judged."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Train, prune the end, train on; beside it, each round's mask over the initial weights."""
        tickets = [chain.dense]
        carried = chain.dense
        for round in range(1, chain.rounds + 1):
            run = chain.find(carried, round)
            pruned = chain.prune(run, round)
            carried = chain.ticket(round, pruned.mask, pruned.weights, optimizer=run.end_optimizer)
            tickets.append(chain.ticket(round, pruned.mask, chain.dense.weights))
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("continue", ComponentConfig, Continue, version=1, paper="Frankle & Carbin 2019, appendix B")
