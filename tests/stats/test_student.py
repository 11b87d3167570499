import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench import PrunebenchError
from prunebench.stats.student import below, detectable, holm, paired, student_interval

values = st.floats(-1e3, 1e3).map(lambda x: round(x, 6))


@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=12, unique=True), st.sampled_from([0.01, 0.05, 0.32]))
def test_the_interval_is_scipys(sample: list[float], alpha: float) -> None:
    interval = student_interval(sample, alpha)
    low, high = stats.t.interval(1 - alpha, len(sample) - 1, np.mean(sample), stats.sem(sample))
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert interval.n == len(sample)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=8), st.randoms())
def test_the_interval_does_not_depend_on_the_order(sample: list[float], shuffle: random.Random) -> None:
    other = list(sample)
    shuffle.shuffle(other)
    assert student_interval(sample, 0.05) == student_interval(other, 0.05)


def test_one_value_has_no_interval() -> None:
    interval = student_interval([0.98], 0.05)
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.98, None, None, 1)


@settings(deadline=None)
@given(values, st.integers(2, 9))
def test_equal_values_have_an_interval_of_width_zero(value: float, n: int) -> None:
    interval = student_interval([value] * n, 0.05)
    assert interval.low == interval.mean == interval.high == value


def test_no_value_has_no_mean() -> None:
    with pytest.raises(PrunebenchError, match="no value"):
        student_interval([], 0.05)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_covers_the_truth_as_often_as_it_says(n: int) -> None:
    draws = np.random.default_rng(7).normal(0.9, 0.01, size=(10_000, n))
    intervals = [student_interval(sample, 0.05) for sample in draws.tolist()]
    ends = np.array([(interval.low, interval.high) for interval in intervals], dtype=float)
    covered = np.mean((ends[:, 0] <= 0.9) & (ends[:, 1] >= 0.9))
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 10_000))


@pytest.mark.parametrize("n", [2, 4])
def test_the_interval_of_a_paired_difference_covers_and_its_p_is_uniform(n: int) -> None:
    draws = np.random.default_rng(8)
    seeds = draws.normal(0.9, 0.05, size=(10_000, n))
    ours, theirs = seeds + draws.normal(0.01, 0.003, seeds.shape), seeds + draws.normal(0.0, 0.002, seeds.shape)
    pairs = [
        paired(dict(enumerate(a)), dict(enumerate(b)), 0.05)
        for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)
    ]
    ends = np.array([(pair.low, pair.high) for pair in pairs], dtype=float)
    covered = np.mean((ends[:, 0] <= 0.01) & (ends[:, 1] >= 0.01))
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 10_000))
    assert all(
        (pair.p is not None and pair.p < 0.05) == (low > 0 or high < 0)
        for pair, (low, high) in zip(pairs, ends, strict=True)
    )


@settings(deadline=None)
@given(st.lists(st.tuples(values, values), min_size=2, max_size=10, unique_by=lambda pair: round(pair[0] - pair[1], 5)))
def test_a_paired_difference_is_scipys_paired_test(pairs: list[tuple[float, float]]) -> None:
    a, b = {i: x for i, (x, _) in enumerate(pairs)}, {i: y for i, (_, y) in enumerate(pairs)}
    ours = paired(a, b, 0.05)
    theirs = stats.ttest_rel(list(a.values()), list(b.values()))
    low, high = theirs.confidence_interval(0.95)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-6, abs=1e-8)


def test_pairs_are_the_common_seeds() -> None:
    pair = paired({0: 1.0, 1: 2.0, 5: 9.0}, {1: 1.5, 0: 0.0, 7: 100.0}, 0.05)
    assert pair.difference == 0.75
    assert pair.n == 2


def test_no_common_seed_is_an_error_that_names_the_seeds() -> None:
    with pytest.raises(PrunebenchError, match=r"no common seed to pair by: \[0, 1\] and \[2\]"):
        paired({0: 1.0, 1: 1.0}, {2: 1.0}, 0.05)


def test_one_pair_is_not_tested() -> None:
    pair = paired({3: 0.5}, {3: 0.25}, 0.05)
    assert (pair.difference, pair.low, pair.high, pair.p, pair.n) == (0.25, None, None, None, 1)


def test_the_same_difference_in_every_seed_has_no_interval_and_the_p_of_a_sign_test() -> None:
    for n, p in ((2, 0.5), (5, 0.0625)):
        pair = paired(dict.fromkeys(range(n), 0.901), dict.fromkeys(range(n), 0.9), 0.05)
        assert (pair.low, pair.high, pair.p) == (None, None, p)
        assert p == stats.binomtest(n, n).pvalue


def test_differences_equal_but_for_rounding_are_equal_and_raise_no_warning() -> None:
    assert 0.9008 - 0.8997 != 0.9018 - 0.9007
    pair = paired({0: 0.9008, 1: 0.9018}, {0: 0.8997, 1: 0.9007}, 0.05)
    assert pair.difference == pytest.approx(0.0011)
    assert (pair.low, pair.p, pair.deviation) == (None, 0.5, 0.0)


def test_networks_equal_but_for_rounding_do_not_differ() -> None:
    pair = paired({0: 0.1 + 0.2, 1: 0.1 + 0.2}, {0: 0.3, 1: 0.3}, 0.05)
    assert (pair.difference, pair.p) == (0.0, 1.0)


def test_equal_networks_do_not_differ() -> None:
    pair = paired({0: 0.1135, 1: 0.1135}, {0: 0.1135, 1: 0.1135}, 0.05)
    assert (pair.difference, pair.low, pair.high, pair.p) == (0.0, 0.0, 0.0, 1.0)


@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=8, unique=True))
def test_the_one_sided_p_is_scipys(sample: list[float]) -> None:
    pair = paired(dict(enumerate(sample)), dict.fromkeys(range(len(sample)), 0.0), 0.05)
    assert below(pair) == pytest.approx(stats.ttest_1samp(sample, 0.0, alternative="less").pvalue, rel=1e-6, abs=1e-12)


def test_one_pair_has_no_one_sided_p_either() -> None:
    assert below(paired({0: 0.5}, {0: 0.6}, 0.05)) is None


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_p_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    corrected = holm(ps)
    for p, q in zip(ps, corrected, strict=True):
        assert p <= q <= min(1.0, len(ps) * p) or q == pytest.approx(p)
    by_p = [q for _, q in sorted(zip(ps, corrected, strict=True))]
    assert by_p == sorted(by_p)


def test_holm_keeps_the_familywise_error() -> None:
    draws = np.random.default_rng(3).uniform(size=(2000, 10))
    wrong = sum(min(holm(ps)) < 0.05 for ps in draws.tolist()) / 2000
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_the_detectable_difference_is_found_four_times_in_five(n: int) -> None:
    effect = detectable(0.5, n, 0.05)
    draws = np.random.default_rng(11).normal(effect, 0.5, size=(4000, n))
    found = float(np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05))
    assert found == pytest.approx(0.8, abs=0.03)
