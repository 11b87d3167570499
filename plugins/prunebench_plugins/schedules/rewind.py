"""Rewind: after each pruning, the surviving weights go back to where they were early in training.

To initialisation: the original lottery-ticket procedure (Frankle & Carbin 2019, section 2, strategy 1).
To a later point: late rewinding (Frankle et al. 2019), whose first run is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from prunebench import Component, ComponentConfig, Position, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes


class RewindConfig(ComponentConfig):
    """`to`: the point of an early run whose weights, and place on the clock, each ticket starts from.

    `early`: which recipe that run trains under: "find", and it is the first find run itself; or "evaluate", and it is
    the dense network's judged run, with its own batch size and clock.
    `reinit`: each ticket starts from fresh weights instead, and so does the run that finds the next: the masks are
    those of reinitialised networks, not of winning tickets. Only from the start of the clock.
    """

    to: Position = Position.parse("0it")
    early: Literal["find", "evaluate"] = "find"
    reinit: bool = False

    @model_validator(mode="after")
    def _fresh_weights_have_no_past(self) -> RewindConfig:
        if self.reinit and self.to.amount != 0:
            raise ValueError(f'fresh weights cannot start amid the clock: leave out `to = "{self.to}"` or `reinit`')
        return self


class Rewind:
    """Weights and clock go back to `to` after every round."""

    def __init__(self, config: RewindConfig) -> None:
        self._to, self._early, self._reinit = config.to, config.early, config.reinit

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Train, prune the end, rewind the survivors; again."""
        tickets = [chain.dense]
        first = chain.find(chain.dense, 1)
        run = first
        early = first if self._early == "find" else chain.evaluate(chain.dense)
        for round in range(1, chain.rounds + 1):
            if round > 1:
                run = chain.find(tickets[-1], round)
            mask = chain.prune(run, round).mask
            state = early.optimizer_at(self._to)
            ticket = chain.ticket(round, mask, early.at(self._to), self._to, optimizer=state)
            if self._reinit:
                ticket = chain.edited(ticket, [chain.use("reinit", "ticket")], 0)
            tickets.append(ticket)
        return tickets


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("rewind", RewindConfig, Rewind, version=1, paper="Frankle & Carbin 2019; Frankle et al. 2019")
