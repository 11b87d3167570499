"""Pruning during training: the run that judges a ticket starts dense, and mask updates bring it to the round's count.

The recipe's `mask_updates` name who does it, such as `gradual-magnitude`.

Source: Zhu & Gupta 2017, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, PlanError, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class DuringTraining:
    """No mask and the initial weights for every ticket; its count is what the mask updates aim at."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """The dense ticket once a round, with the round's count; nothing trains before.

        Raises:
            PlanError: no component of the evaluation recipe changes the mask, so every ticket would stay dense.
        """
        if not recipes.evaluate.mask_updates:
            raise PlanError(
                "schedule during-training: nothing prunes in the evaluation recipe; name what does: "
                'mask_updates = ["gradual-magnitude"]'
            )
        return [
            chain.dense,
            *(chain.dense.replace(round=round, count=count) for round, count in enumerate(chain.counts[1:], start=1)),
        ]


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("during-training", ComponentConfig, DuringTraining, version=1, paper="Zhu & Gupta 2017")
