"""Equality within a share of the other side."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from prunebench.api.errors import PrunebenchError
from prunebench.stats.equivalence import relative_equivalence

VALUES = st.lists(st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)), min_size=3, max_size=6)


def seeds(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


@given(VALUES, st.floats(0.05, 0.5))
def test_the_tests_are_scipys_of_two_contrasts(pairs: list[tuple[float, float]], share: float) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    low, high = [[x - (1 + s) * y for x, y in pairs] for s in (-share, share)]
    if max(low) - min(low) < 1e-6 or max(high) - min(high) < 1e-6:
        return
    _, p = relative_equivalence(seeds(a), seeds(b), share, 0.05)
    tests = ttest_1samp(low, 0, alternative="greater").pvalue, ttest_1samp(high, 0, alternative="less").pvalue
    assert p == pytest.approx(max(tests), abs=1e-9)


@given(VALUES, st.floats(0.05, 0.5), st.floats(0.1, 10.0))
def test_the_unit_does_not_matter(pairs: list[tuple[float, float]], share: float, unit: float) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    one, p = relative_equivalence(seeds(a), seeds(b), share, 0.05)
    other, q = relative_equivalence(seeds([unit * x for x in a]), seeds([unit * y for y in b]), share, 0.05)
    assert q == pytest.approx(p, abs=1e-6)
    if p is None or abs(p - 0.05) > 1e-6:
        assert one == other


def test_verdicts() -> None:
    ones = [1.0, 1.02, 0.98, 1.01]
    assert relative_equivalence(seeds([1.01, 1.0, 0.99, 1.02]), seeds(ones), 0.1, 0.05)[0] == "equal"
    assert relative_equivalence(seeds([1.5, 1.52, 1.47, 1.5]), seeds(ones), 0.1, 0.05)[0] == "different"
    assert relative_equivalence(seeds([1.0, 1.3, 0.8, 1.1]), seeds(ones), 0.1, 0.05)[0] == "undecided"
    assert relative_equivalence({0: 1.0}, {0: 1.0}, 0.1, 0.05) == ("undecided", None)
    with pytest.raises(PrunebenchError, match="not above 0 is no margin"):
        relative_equivalence({0: 1.0}, {0: -1.0}, 0.1, 0.05)
    with pytest.raises(PrunebenchError, match="between 0 and 1"):
        relative_equivalence({0: 1.0}, {0: sqrt(2)}, 1.5, 0.05)
