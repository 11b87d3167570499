"""Pruning at initialisation: find runs end before they begin, and every density is cut from the initial weights.

Source: Frankle & Carbin 2019, appendix E (pruning at iteration 0); Lee et al. 2019 (SNIP).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.plan import Chain, PlannedTicket, Recipes


class AtInitConfig(ComponentConfig):
    """`iterative`: cut the survivors of the round before; otherwise each density is cut from the dense network."""

    iterative: bool = False


class AtInit:
    """Weights and clock stay at the start."""

    def __init__(self, config: AtInitConfig) -> None:
        self._iterative = config.iterative

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Prune the initial weights to each count; nothing trains."""
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            source = tickets[-1] if self._iterative else chain.dense
            tickets.append(chain.ticket(round, chain.prune(source, round), chain.dense.weights))
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("at-init", AtInitConfig, AtInit, version=1, paper="Frankle & Carbin 2019, appendix E")
