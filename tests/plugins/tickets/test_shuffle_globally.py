from pathlib import Path

import torch
from engine.toy_runs import Workshop, rows, run
from hypothesis import given
from hypothesis import strategies as st

from prunebench import ComponentConfig, Position
from prunebench.api.masks import Mask
from prunebench.api.random import Rng
from prunebench.api.tickets import State, Ticket
from prunebench.testing import TicketContract, state, two_layer_net, weight_units
from prunebench_plugins.tickets.shuffle_globally import ShuffleGlobally

NET = two_layer_net()
UNITS = weight_units(NET)  # 48 and 18
LATE = Position.parse("3it")


class TestShuffleGlobally(TicketContract):
    component = {"use": "shuffle-globally"}


def shuffled(mask: Mask, name: str = "0/ticket", weights: State | None = None) -> Ticket:
    return ShuffleGlobally(ComponentConfig()).prunebench_ticket(Ticket(weights or {}, mask, LATE), UNITS, Rng(name))


def mask_of(ticket: Ticket) -> Mask:
    assert ticket.mask is not None
    return ticket.mask


@given(st.integers(1, 66), st.integers(0, 10**9))
def test_the_total_stays_whatever_the_layers_had(count: int, stream: int) -> None:
    mask = Mask.from_flat(torch.arange(66) < count, UNITS.layers)
    edited = shuffled(mask, str(stream))
    assert mask_of(edited).count == count
    assert edited.start == LATE


def test_every_unit_is_as_likely_to_live_as_any_other_in_whatever_layer() -> None:
    # 18 of 66 live, all in the first layer; over 2,000 draws each unit lives 545 times, give or take 20.
    mask = Mask.from_flat(torch.arange(66) < 18, UNITS.layers)
    lived = torch.stack([mask_of(shuffled(mask, str(draw))).flat() for draw in range(2_000)]).sum(0)
    assert bool((lived - 2_000 * 18 / 66).abs().max() < 5 * 20)
    assert len(set(lived.tolist())) > 1


def test_layer_densities_are_not_the_tickets() -> None:
    mask = Mask.from_flat(torch.arange(66) < 18, UNITS.layers)
    assert mask.counts == (18, 0)
    assert mask_of(shuffled(mask)).counts != (18, 0)


def test_weights_are_the_same_tensors() -> None:
    weights = state(NET)
    assert shuffled(Mask.full(UNITS.layers), weights=weights).weights is weights


def test_each_draw_of_an_entry_is_a_mask_of_its_own(tmp_path: Path) -> None:
    control = {"name": "random", "tickets": "imp", "ticket": ["shuffle-globally", "reinit"], "draws": 3}
    outcome = run(tmp_path, {"entry": [control]})
    judged = [row for row in rows(outcome, entry="random") if row["role"] == "evaluate"]
    assert {row["outcome"] for row in judged} == {"ok"}
    workshop = Workshop(tmp_path, {"entry": [control]}, entry="random")
    edits = workshop.workbench.catalogue.use("shuffle-globally", slot="ticket")
    source = workshop.chain.tickets[1]
    drawn = [workshop.chain.edited(source, [edits], draw).mask for draw in range(3)]
    masks = [workshop.mask(ref) for ref in drawn if ref is not None]
    assert [mask.count for mask in masks] == [source.count] * 3 == [53] * 3
    assert len({tuple(mask.flat().tolist()) for mask in masks}) == 3
