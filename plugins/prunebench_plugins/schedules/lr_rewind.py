"""Learning-rate rewinding: after each pruning, the survivors keep their trained weights and the clock goes back.

Source: Renda et al. 2020, section 2 (learning rate rewinding).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, Position, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class LrRewindConfig(ComponentConfig):
    """`to`: where the clock goes back to; each retraining goes from there to the horizon."""

    to: Position = Position.parse("0it")


class LrRewind:
    """Weights carry on; the clock goes back to `to` after every round."""

    def __init__(self, config: LrRewindConfig) -> None:
        self._to = config.to

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Train, prune the end, go on from what survives with the rate of an earlier time; again."""
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            run = chain.find(tickets[-1], round)
            pruned = chain.prune(run, round)
            ticket = chain.ticket(round, pruned.mask, pruned.weights, self._to, optimizer=run.end_optimizer)
            tickets.append(ticket)
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("lr-rewind", LrRewindConfig, LrRewind, version=1, paper="Renda et al. 2020")
