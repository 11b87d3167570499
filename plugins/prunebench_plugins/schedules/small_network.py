"""Small networks: cut at initialisation, then trained from scratch for as long as a pruned network was in all.

The control for "prune a large network" that keeps the number of feature maps and of epochs: the whole schedule of the
learning rate is repeated, once for each training that the pruned network had.

Source: the pruning-mechanism paper, sections 2.2.1 and 3 (random pruning at initialisation, `rescale-variance` as the
ticket's edit); Liu et al. 2019, section 3 (training from scratch on an equal budget).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, Position, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class SmallNetworkConfig(ComponentConfig):
    """`trainings`: how many times the schedule runs; one more than the round, as iterative pruning has, if left out.

    A network that is pruned once and retrained had 2.
    """

    trainings: int | None = Field(default=None, ge=1)


class SmallNetwork:
    """Weights and clock stay at the start; each density is cut from the dense network, and training takes longer."""

    def __init__(self, config: SmallNetworkConfig) -> None:
        self._trainings = config.trainings

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Cut the initial weights to each count; the judged run repeats its schedule."""
        once = recipes.evaluate.horizon
        again = chain.use({"use": "repeat", "every": str(once)}, "lr")
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            times = round + 1 if self._trainings is None else self._trainings
            changes = {
                "horizon": Position(once.amount * times, once.unit),
                "lr": (*recipes.evaluate.lr, again),
                "stop": None,
            }
            mask = chain.prune(chain.dense, round).mask
            tickets.append(chain.ticket(round, mask, chain.dense.weights, changes=changes))
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("small-network", SmallNetworkConfig, SmallNetwork, version=1, paper="Liu et al. 2019")
