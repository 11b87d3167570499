from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.stats.median import median_interval


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_the_interval_has_the_median_and_is_made_of_values(values: list[float]) -> None:
    middle, ends = median_interval(values)
    assert min(values) <= middle <= max(values)
    if ends is None:
        assert len(values) < 6
        return
    assert ends[0] <= middle <= ends[1]
    assert set(ends) <= set(values)


@pytest.mark.parametrize(("n", "ranks"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (30, (10, 21)), (50, (18, 33))])
def test_the_ranks_are_those_of_the_tables(n: int, ranks: tuple[int, int]) -> None:
    assert median_interval([float(k) for k in range(1, n + 1)])[1] == tuple(map(float, ranks))


def test_it_covers_the_median_as_often_as_it_says() -> None:
    generator = random.Random(0)
    covered = 0
    for _ in range(2_000):
        _, ends = median_interval([generator.expovariate(1.0) for _ in range(15)])
        assert ends is not None
        covered += ends[0] <= 0.6931471805599453 <= ends[1]
    assert covered / 2_000 >= 0.94
