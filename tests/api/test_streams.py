"""Streams are named and counted: a draw depends on its name and counter, and on nothing else."""

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.random import PURPOSES, Rng, Streams, mix
from prunebench.testing import no_global_randomness

NAMES = st.text(max_size=20)
COUNTERS = st.lists(st.integers(0, 2**64 - 1), max_size=3)

GOLDEN_BASE = 1991129456403090331
GOLDEN_SEEDS = [7099862882068025628, 783884563689273497, 7106326344375886518, 1339934453106575210]
GOLDEN_PERMUTATION = [1, 6, 9, 3, 4, 8, 2, 0, 7, 5]
GOLDEN_NEXT = [0, 9, 5, 3, 7, 1, 8, 2, 6, 4]
GOLDEN_RAW = [4458197006734572792, 15899848258430343039]
GOLDEN_CHILD = 1199834206470080672


def test_the_first_numbers_of_a_stream_never_change() -> None:
    """A changed number here relabels every recorded result: raise ENGINE_VERSION with it."""
    order = Streams(0, round=1).rng("order")
    assert order.name == "0/order/1/0/0"
    assert order.base == GOLDEN_BASE
    assert [order.seed(), order.seed(0), order.seed(1), order.seed(3, 7)] == GOLDEN_SEEDS
    assert order.permutation(10).tolist() == GOLDEN_PERMUTATION
    assert order.permutation(10, 1).tolist() == GOLDEN_NEXT
    assert order.numpy(2).bit_generator.random_raw(2).tolist() == GOLDEN_RAW
    assert order.child("reinit").seed(0) == GOLDEN_CHILD
    assert mix(0) == 0xE220A8397B1DCDAF  # splitmix64's first output for state 0 (Steele et al. 2014)


def test_a_stream_above_two_to_the_63_loses_no_bits() -> None:
    high = Streams(0).rng("order")
    assert high.base == 11565783586491747900 > 2**63
    assert high.permutation(8).tolist() == [0, 3, 1, 2, 5, 7, 6, 4]
    key = high.numpy().bit_generator.state["state"]["key"]
    assert key.tolist() == [high.base, 0]


def test_purposes_rounds_draws_twins_and_seeds_have_streams_of_their_own() -> None:
    axes = itertools.product((0, 1, 11), PURPOSES, (0, 1, 11), (0, 1), (0, 1))
    streams = [Streams(seed, round, draw, twin).rng(purpose) for seed, purpose, round, draw, twin in axes]  # type: ignore[arg-type]
    assert len({stream.base for stream in streams}) == len(streams)
    assert len({stream.seed(0) for stream in streams}) == len(streams)


def test_neighbouring_streams_are_not_correlated() -> None:
    a, b = (Streams(seed).rng("order").numpy().standard_normal(10_000) for seed in (0, 1))
    c = Streams(0).rng("order").numpy(1).standard_normal(10_000)
    for x, y in ((a, b), (a, c)):
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.05  # five standard deviations of the null


@settings(deadline=None)
@given(NAMES, COUNTERS)
def test_a_draw_depends_on_the_name_and_the_counters_alone(name: str, counters: list[int]) -> None:
    used = Rng(name)
    for other in range(3):
        used.seed(other)
        used.permutation(5, other)
        used.numpy(other).random()
    fresh = Rng(name)
    assert used.seed(*counters) == fresh.seed(*counters)
    assert used.permutation(7, *counters).tolist() == fresh.permutation(7, *counters).tolist()
    assert used.numpy(*counters).random() == fresh.numpy(*counters).random()


@settings(deadline=None)
@given(NAMES, st.lists(st.lists(st.integers(0, 1000), max_size=3).map(tuple), min_size=2, unique=True))
def test_other_counters_give_other_seeds(name: str, counters: list[tuple[int, ...]]) -> None:
    # Equal would take a collision of 63 bits; () and (0,) are different places, too.
    assert len({Rng(name).seed(*place) for place in counters}) == len(counters)


@settings(deadline=None)
@given(NAMES, COUNTERS)
def test_seeds_fit_into_63_bits(name: str, counters: list[int]) -> None:
    assert 0 <= Rng(name).seed(*counters) < 2**63


@settings(deadline=None)
@given(NAMES, st.integers(0, 300), COUNTERS)
def test_a_permutation_is_one(name: str, n: int, counters: list[int]) -> None:
    assert sorted(Rng(name).permutation(n, *counters).tolist()) == list(range(n))


def test_every_order_of_three_is_as_likely() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for counter in range(6_000):
        order = tuple(Rng("orders").permutation(3, counter).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert all(850 < count < 1_150 for count in counts.values())  # five standard deviations around 1,000


def test_an_epoch_can_be_reached_without_the_epochs_before_it() -> None:
    straight = [Rng("order").permutation(50, epoch).tolist() for epoch in range(5)]
    assert Rng("order").permutation(50, 4).tolist() == straight[4]
    assert len({tuple(epoch) for epoch in straight}) == 5


def test_a_child_is_a_stream_of_its_own_and_depends_on_its_label() -> None:
    ticket = Streams(3, round=2).rng("ticket")
    shuffle, reinit = ticket.child("shuffle"), ticket.child("reinit")
    assert len({ticket.seed(0), shuffle.seed(0), reinit.seed(0), shuffle.child("again").seed(0)}) == 4
    assert ticket.child("shuffle") == shuffle


@pytest.mark.parametrize("counters", [(), (0,), (5,)])
def test_a_torch_generator_draws_the_same_numbers_at_the_same_counters(counters: tuple[int, ...]) -> None:
    first, second = (torch.rand(4, generator=Rng("x").torch(*counters)) for _ in range(2))
    assert torch.equal(first, second)


def test_a_fourth_counter_is_refused_rather_than_left_out() -> None:
    with pytest.raises(ValueError, match="three counters, not 4"):
        Rng("x").permutation(3, 1, 2, 3, 4)


def test_streams_leave_the_global_generators_alone() -> None:
    with no_global_randomness():
        rng = Streams(0).rng("score")
        rng.permutation(5), rng.seed(1), rng.numpy(2).random(), torch.rand(3, generator=rng.torch())
    random.seed(0)
    assert Streams(0).rng("score").seed(1) == rng.seed(1)


def test_a_phase_describes_its_streams_in_full() -> None:
    assert Streams(4, 3, draw=2, twin=1).to_json() == {"seed": 4, "round": 3, "draw": 2, "twin": 1}
