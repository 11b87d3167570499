"""Two one-sided tests, against scipy's own t-tests and intervals."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from prunebench.api.errors import PrunebenchError
from prunebench.stats.equivalence import equivalence, equivalence_p
from prunebench.stats.student import paired

samples = st.lists(st.floats(-1, 1).map(lambda value: round(value, 6)), min_size=2, max_size=12)


def of(differences: list[float], alpha: float = 0.05):  # type: ignore[no-untyped-def]
    return paired(dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0), alpha)


@given(samples, st.floats(0.001, 2))
def test_p_is_the_larger_one_of_scipys_two_one_sided_tests(differences: list[float], margin: float) -> None:
    assume(max(differences) - min(differences) > 1e-4)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert equivalence_p(of(differences), margin) == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


@given(samples, st.floats(0.001, 2), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_verdict_is_where_scipys_intervals_lie(differences: list[float], margin: float, alpha: float) -> None:
    assume(max(differences) - min(differences) > 1e-4)
    sample = stats.ttest_1samp(differences, 0.0)
    inner, outer = (sample.confidence_interval(1 - level) for level in (2 * alpha, alpha))
    assume(all(abs(abs(end) - margin) > 1e-9 for end in (*inner, *outer)))
    expected = "undecided"
    if -margin < inner.low and inner.high < margin:
        expected = "equal"
    elif outer.low > margin or outer.high < -margin:
        expected = "different"
    assert equivalence(of(differences, alpha), margin, alpha) == expected


@given(samples, st.floats(0.001, 2))
def test_sides_may_be_swapped(differences: list[float], margin: float) -> None:
    swapped = [-value for value in differences]
    assert equivalence(of(differences), margin, 0.05) == equivalence(of(swapped), margin, 0.05)


@given(samples, st.floats(0.001, 1), st.floats(1, 3))
def test_what_is_equal_within_a_margin_is_so_within_a_larger_one(
    differences: list[float], margin: float, times: float
) -> None:
    if equivalence(of(differences), margin, 0.05) == "equal":
        assert equivalence(of(differences), margin * times, 0.05) == "equal"


def test_one_seed_decides_nothing_and_no_spread_counts_signs() -> None:
    assert equivalence(of([0.0]), 0.1, 0.05) == "undecided"
    assert equivalence(of([0.0] * 4), 0.1, 0.05) == "undecided"
    assert equivalence(of([0.0] * 5), 0.1, 0.05) == "equal"
    assert equivalence(of([0.2] * 5), 0.1, 0.05) == "undecided"
    assert equivalence(of([0.2] * 6), 0.1, 0.05) == "different"


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_a_margin_is_above_zero(margin: float) -> None:
    with pytest.raises(PrunebenchError, match="margin"):
        equivalence_p(of([0.1, 0.2]), margin)


def test_the_share_of_wrong_equalities_is_alpha_where_the_difference_is_the_margin() -> None:
    import numpy as np

    drawn = np.random.default_rng(0).normal(0.1, 0.03, (4000, 5))
    wrong = sum(equivalence(of(list(row)), 0.1, 0.05) == "equal" for row in drawn.tolist())
    assert wrong / 4000 == pytest.approx(0.05, abs=0.012)
