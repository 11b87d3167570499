from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunebench import Position
from prunebench.api.masks import Mask
from prunebench.api.random import Rng
from prunebench.api.tickets import State, Ticket
from prunebench.testing import TicketContract, some_mask, state, two_layer_net, weight_units
from prunebench_plugins.tickets.reinit_from_ticket import ReinitFromTicket, ReinitFromTicketConfig

NET = two_layer_net()
UNITS = weight_units(NET)
LATE = Position.parse("3it")


class TestReinitFromTicket(TicketContract):
    component = {"use": "reinit-from-ticket"}


class TestReinitFromTicketWithoutReplacement(TicketContract):
    component = {"use": "reinit-from-ticket", "replacement": False}


def drawn(mask: Mask | None, weights: State | None = None, name: str = "0/ticket", **config: Any) -> Ticket:
    edit = ReinitFromTicket(ReinitFromTicketConfig(**config))
    return edit.prunebench_ticket(Ticket(weights or state(NET), mask, LATE), UNITS, Rng(name))


def living(weights: State, mask: Mask) -> dict[str, list[float]]:
    return {name: weights[name][keep].tolist() for name, keep in UNITS.expand(mask).items()}


@given(st.integers(1, 66), st.integers(0, 1000))
def test_without_replacement_the_survivors_of_each_layer_are_dealt_out_anew(count: int, stream: int) -> None:
    mask = some_mask(UNITS, count)
    before, after = state(NET), drawn(mask, name=str(stream), replacement=False).weights
    for name, values in living(after, mask).items():
        assert sorted(values) == sorted(living(before, mask)[name])


@given(st.integers(1, 66), st.integers(0, 1000))
def test_with_replacement_every_weight_is_a_survivor_of_its_own_layer(count: int, stream: int) -> None:
    mask = some_mask(UNITS, count)
    before, after = state(NET), drawn(mask, name=str(stream)).weights
    for name, values in living(after, mask).items():
        assert set(values) <= set(living(before, mask)[name])


@pytest.mark.parametrize("replacement", [True, False])
def test_mask_clock_and_everything_but_living_weights_stay(replacement: bool) -> None:
    mask = some_mask(UNITS, 30)
    edited = drawn(mask, replacement=replacement)
    before = state(NET)
    assert edited.mask is mask
    assert edited.start == LATE
    assert torch.equal(edited.weights["fc1.bias"], before["fc1.bias"])
    for name, keep in UNITS.expand(mask).items():
        assert torch.equal(edited.weights[name][~keep], before[name][~keep])
        assert not torch.equal(edited.weights[name][keep], before[name][keep])


def test_values_do_come_twice_with_replacement_and_do_not_without() -> None:
    mask = Mask.full(UNITS.layers)
    distinct = {r: len(set(living(drawn(mask, replacement=r).weights, mask)["fc1.weight"])) for r in (True, False)}
    assert distinct[False] == 48
    assert 22 <= distinct[True] <= 38  # 1 - 1/e of 48 is 30.3


def test_every_survivor_is_drawn_as_often_as_any_other() -> None:
    weights: dict[str, Tensor] = {**state(NET), "fc1.weight": torch.arange(48.0).view(6, 8)}
    mask = Mask.from_flat(torch.arange(66) % 4 == 0, UNITS.layers)  # 12 of 48
    values = torch.tensor([living(drawn(mask, weights, str(n)).weights, mask)["fc1.weight"] for n in range(500)])
    counts = torch.bincount(values.flatten().long(), minlength=48)[::4]
    assert int(counts.sum()) == 6_000
    assert int((counts - 500).abs().max()) < 5 * 22


def test_an_unpruned_ticket_is_drawn_from_all_its_weights() -> None:
    edited = drawn(None, replacement=False)
    assert edited.mask is None
    assert not torch.equal(edited.weights["fc1.weight"], state(NET)["fc1.weight"])
    assert sorted(edited.weights["fc1.weight"].flatten().tolist()) == sorted(
        state(NET)["fc1.weight"].flatten().tolist()
    )


@pytest.mark.parametrize("replacement", [True, False])
def test_the_engine_judges_tickets_of_their_own_initial_values(tmp_path: Path, replacement: bool) -> None:
    edit = {"use": "reinit-from-ticket", "replacement": replacement}
    control = {"name": "control", "tickets": "imp", "ticket": edit}
    outcome = run(tmp_path, {"entry": [control]})
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    workshop = Workshop(tmp_path, {"entry": [control]})
    source = workshop.chain.tickets[2]
    edited = workshop.chain.edited(source, [workshop.workbench.catalogue.use(edit, slot="ticket")], 0)
    assert source.mask is not None
    keep = workshop.mask(source.mask).keep
    initial, weights = (workshop.weights(ticket.weights) for ticket in (source, edited))
    for name, kept in zip(("1.weight", "3.weight"), keep, strict=True):
        pool = initial[name].flatten()[kept].tolist()
        found = weights[name].flatten()[kept].tolist()
        assert set(found) <= set(pool)
        assert (sorted(found) == sorted(pool)) != replacement
