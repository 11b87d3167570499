"""Reinitialised tickets: the mask stays, the weights are drawn afresh. The control for winning tickets.

Source: Frankle & Carbin 2019, section 2 (random reinitialisation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, PlanError, Position, hookimpl
from prunebench.api.tickets import State, Ticket

if TYPE_CHECKING:
    from prunebench.api.planning import Needs, Request
    from prunebench.api.random import Rng


class ReinitConfig(ComponentConfig):
    """`clock`: where on the learning-rate clock fresh weights start; must be stated for tickets that start late."""

    clock: Position | None = None


class Reinit:
    """Fresh weights under the ticket's mask."""

    def __init__(self, config: ReinitConfig) -> None:
        self._clock = config.clock

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The clock that the file states; without it fresh weights cannot start amid a learning-rate schedule.

        Raises:
            PlanError: the ticket starts late and `clock` is not stated.
        """
        from prunebench.api.planning import Needs

        ticket = request.ticket
        if self._clock is None and ticket is not None and ticket.start.amount != 0:
            raise PlanError(
                f'reinit: the ticket starts at "{ticket.start}" of the learning-rate clock and fresh weights have no '
                f'such past; state where they start: `clock = "0it"`, or `clock = "{ticket.start}"` to keep its place'
            )
        return Needs(clock=self._clock)

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, fresh: Callable[[Rng], State], rng: Rng) -> Ticket:
        """The same mask over weights drawn from `rng`; the plan moves the clock."""
        return replace(ticket, weights=fresh(rng))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `reinit`."""
    yield Component("reinit", ReinitConfig, Reinit, version=1, paper="Frankle & Carbin 2019")
