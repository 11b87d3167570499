from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from prunebench import PlanError, Position
from prunebench.api.planning import PlannedTicket, Ref
from prunebench.api.random import Rng
from prunebench.api.tickets import State, Ticket
from prunebench.testing import TicketContract, some_mask, state, weight_units
from prunebench_plugins.tickets.reinit import Reinit, ReinitConfig


class TestReinit(TicketContract):
    component = {"use": "reinit"}


class TestReinitWithAClock(TicketContract):
    component = {"use": "reinit", "clock": "10it"}


def reinit(clock: str | None = None) -> Reinit:
    return Reinit(ReinitConfig.model_validate({"clock": clock}))


def request(start: str) -> Any:
    ticket = PlannedTicket(1, Ref("w", "weights"), Ref("m", "mask"), 10, Position.parse(start))
    return SimpleNamespace(ticket=ticket)


def test_the_mask_stays_and_every_weight_is_drawn_from_the_edits_own_stream(two_layer_net: nn.Module) -> None:
    drawn: list[Rng] = []

    def fresh(rng: Rng) -> State:
        drawn.append(rng)
        return {"fc1.weight": torch.full((6, 8), 3.0)}

    mask = some_mask(weight_units(two_layer_net), 20)
    rng = Rng("0/ticket/1/0/0/reinit")
    edited = reinit().prunebench_ticket(Ticket(state(two_layer_net), mask, Position.parse("0it")), fresh, rng)
    assert drawn == [rng]
    assert edited.mask is mask
    assert bool((edited.weights["fc1.weight"] == 3.0).all())


def test_a_ticket_from_the_start_needs_no_clock() -> None:
    assert reinit().prunebench_needs(request("0it")).clock is None


@pytest.mark.parametrize("start", ["12ep", "500it", "1%"])
def test_a_late_ticket_must_state_its_clock(start: str) -> None:
    with pytest.raises(PlanError, match=f'starts at "{start}".*clock = "0it"'):
        reinit().prunebench_needs(request(start))
    assert reinit("0it").prunebench_needs(request(start)).clock == Position.parse("0it")
    assert reinit(start).prunebench_needs(request(start)).clock == Position.parse(start)
