"""One-shot pruning: each density is reached in one cut from the same dense run.

Source: Frankle & Carbin 2019, section 2 (one-shot pruning); Renda et al. 2020, section 2 (its retraining).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, Position, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class OneShotConfig(ComponentConfig):
    """`to`: where the clock goes back to. `weights`: whether the weights go back there too, or carry on."""

    to: Position = Position.parse("0it")
    weights: Literal["rewind", "carry"] = "rewind"


class OneShot:
    """One dense run, cut once for each density."""

    def __init__(self, config: OneShotConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Prune the end of the dense run to each count, whatever rounds the file counts in."""
        dense = chain.find(chain.dense, 1)
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            # The first round of a chain is one cut too: its mask, and the run that judges it, are shared.
            pruned = chain.prune(dense, round, at_once=round > 1)
            weights = pruned.weights if self._config.weights == "carry" else dense.at(self._config.to)
            tickets.append(chain.ticket(round, pruned.mask, weights, self._config.to))
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("one-shot", OneShotConfig, OneShot, version=1, paper="Frankle & Carbin 2019")
