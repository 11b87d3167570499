"""Pruning at initialisation: find runs end before they begin, and every density is cut from the initial weights.

Source: Frankle & Carbin 2019, appendix E (pruning at iteration 0); Lee et al. 2019 (SNIP); Tanaka et al. 2020,
algorithm 1 (many prunings on an exponential schedule).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.cost_share import Count
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class AtInitConfig(ComponentConfig):
    """`iterative`: cut the survivors of the round before; otherwise each density is cut from the dense network.

    `steps`: in how many prunings a density is reached, each scored anew on the survivors of the one before; SynFlow's
    paper takes 100. The counts fall by the same factor in each.
    """

    iterative: bool = False
    steps: int = Field(default=1, ge=1)


class AtInit:
    """Weights and clock stay at the start."""

    def __init__(self, config: AtInitConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Prune the initial weights to each count; nothing trains."""
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            ticket = tickets[-1] if self._config.iterative else chain.dense
            for count in exponential(ticket.count, chain.counts[round], self._config.steps):
                mask = chain.prune(ticket, round, count=count).mask
                ticket = chain.ticket(round, mask, chain.dense.weights, count=count)
            tickets.append(ticket)
        return tickets


def exponential(start: Count, stop: Count, steps: int) -> list[Count]:
    """Units alive after each of `steps` prunings: round(start * (stop / start) ** (k / steps)), the last exactly stop.

    Where `stop` is a share of a cost, so are those before it, by the same factor; a number of units to start from is
    then the dense network's.

    Source: Tanaka et al. 2020, algorithm 1.
    """
    parts = [k / steps for k in range(1, steps)]
    if isinstance(stop, int):
        assert isinstance(start, int), "units are counted from units"
        return [*(round(start * (stop / start) ** part) for part in parts), stop]
    first = 1.0 if isinstance(start, int) else start.share
    return [*(replace(stop, share=first * (stop.share / first) ** part) for part in parts), stop]


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("at-init", AtInitConfig, AtInit, version=1, paper="Frankle & Carbin 2019, appendix E")
