from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.kernels.shares import shared

layers = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6)


@given(layers, st.floats(0, 1))
def test_any_count_is_shared_exactly_and_within_what_is_alive(drawn: list[tuple[int, int]], part: float) -> None:
    weights, alive = [w for w, _ in drawn], [a for _, a in drawn]
    count = round(part * sum(alive))
    kept = shared(count, weights, alive)
    assert sum(kept) == count
    assert all(0 <= k <= a for k, a in zip(kept, alive, strict=True))


@given(layers, st.floats(0, 1))
def test_where_no_layer_fills_up_these_are_hamiltons_seats(drawn: list[tuple[int, int]], part: float) -> None:
    weights = [w for w, _ in drawn]
    count = round(part * sum(weights))
    seats = [w * count // sum(weights) if sum(weights) else 0 for w in weights]
    while sum(seats) < count:  # one seat after the other to the largest remainder, each once
        rest = [Fraction(w * count, sum(weights)) - s for w, s in zip(weights, seats, strict=True)]
        seats[rest.index(max(rest))] += 1
    assert shared(count, weights, weights) == seats


@given(layers, st.floats(0, 1))
def test_layers_that_are_not_full_have_shares_in_proportion(drawn: list[tuple[int, int]], part: float) -> None:
    weights, alive = [w for w, _ in drawn], [a for _, a in drawn]
    count = round(part * sum(a for w, a in drawn if w))
    kept = shared(count, weights, alive)
    # Rounded, each is within a unit of its weight times one common scale; a full layer may be below it.
    every = [(k, w, a) for k, w, a in zip(kept, weights, alive, strict=True) if w]
    scale_above = max((Fraction(k - 1, w) for k, w, _ in every), default=Fraction(0))
    scale_below = min((Fraction(k + 1, w) for k, w, a in every if k < a), default=scale_above + 1)
    assert scale_above < scale_below


@pytest.mark.parametrize(
    ("count", "weights", "alive", "kept"),
    [
        (6, [1, 1, 1, 1], [5, 5, 5, 5], [2, 2, 1, 1]),  # equal remainders fall to the earlier layers
        (10, [1, 1, 2], [1, 9, 9], [1, 3, 6]),  # what a full layer cannot keep falls to the others in proportion
        (5, [0, 1, 0], [4, 2, 2], [2, 2, 1]),  # a layer of weight 0 keeps units only when the others are full
        (2, [0, 1, 0], [4, 2, 2], [0, 2, 0]),
        (3, [0, 0], [4, 2], [2, 1]),
        (0, [1, 1], [3, 3], [0, 0]),
    ],
)
def test_shares_by_hand(count: int, weights: list[int], alive: list[int], kept: list[int]) -> None:
    assert shared(count, weights, alive) == kept


@pytest.mark.parametrize("count", [-1, 7])
def test_more_than_is_alive_cannot_be_shared(count: int) -> None:
    with pytest.raises(ValueError, match="6 are alive"):
        shared(count, [1, 1], [3, 3])
