import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench import ComponentConfig, Position
from prunebench.api.masks import Mask
from prunebench.api.random import Rng
from prunebench.api.tickets import Ticket
from prunebench.testing import TicketContract
from prunebench_plugins.tickets.shuffle import ShuffleWithinLayer

LATE = Position.parse("3it")


class TestShuffleWithinLayer(TicketContract):
    component = {"use": "shuffle-within-layer"}


def shuffled(mask: Mask, name: str = "0/ticket") -> Mask:
    edited = ShuffleWithinLayer(ComponentConfig()).prunebench_ticket(Ticket({}, mask, LATE), Rng(name))
    assert edited.mask is not None
    assert edited.start == LATE
    return edited.mask


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=60), min_size=1, max_size=5))
def test_every_layer_keeps_its_count(layers: list[list[bool]]) -> None:
    mask = Mask(tuple(torch.tensor(layer) for layer in layers))
    assert shuffled(mask).counts == mask.counts


def test_which_units_live_changes_with_the_stream_and_the_layer() -> None:
    mask = Mask((torch.arange(400) < 100, torch.arange(400) < 100))
    first, second = shuffled(mask).keep
    assert not torch.equal(first, mask.keep[0])
    assert not torch.equal(first, second)
    assert not torch.equal(first, shuffled(mask, "1/ticket").keep[0])
    # As likely to live as any other: 25 of the 100 that lived, give or take four standard deviations.
    assert abs(int((first & mask.keep[0]).sum()) - 25) < 16


def test_weights_are_the_same_tensors() -> None:
    weights = {"w": torch.ones(2)}
    ticket = Ticket(weights, Mask((torch.tensor([True, False]),)), LATE)
    assert ShuffleWithinLayer(ComponentConfig()).prunebench_ticket(ticket, Rng("0")).weights is weights
