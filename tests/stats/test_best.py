from math import sqrt
from statistics import mean, stdev
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from prunebench.stats.best import Pick, Values, best, difference, interval_of, left_out, naive, values_of
from prunebench.stats.student import Paired, paired

THREE = frozenset({0, 1, 2})
VALID = {"a": {0: 0.9, 1: 0.5, 2: 0.6}, "b": {0: 0.7, 1: 0.8, 2: 0.7}}
TEST = {"a": {0: 0.91, 1: 0.51, 2: 0.61}, "b": {0: 0.71, 1: 0.81, 2: 0.71}}


def test_each_seed_is_judged_by_the_choice_of_the_others_as_by_hand() -> None:
    # without 0: a 0.55, b 0.75; without 1: a 0.75, b 0.7; without 2: a 0.7, b 0.75
    assert left_out(VALID, TEST, THREE, higher=True) == {0: Pick("b", 0.71), 1: Pick("a", 0.51), 2: Pick("b", 0.71)}
    assert {seed: pick.candidate for seed, pick in left_out(VALID, TEST, THREE, higher=False).items()} == {
        0: "a",
        1: "b",
        2: "a",
    }


def test_the_naive_choice_is_by_what_judges_it() -> None:
    assert naive(TEST, THREE, higher=True) == {0: Pick("b", 0.71), 1: Pick("b", 0.81), 2: Pick("b", 0.71)}
    assert naive(TEST, THREE, higher=False)[0] == Pick("a", 0.91)


def test_equals_go_to_the_first() -> None:
    equal = {"late": {0: 0.5}, "early": {0: 0.5}}
    assert best(equal, frozenset({0}), True) == best(equal, frozenset({0}), False) == "late"


def test_a_candidate_that_broke_in_another_seed_is_none() -> None:
    valid = {"a": {0: 0.9, 2: 0.9}, "b": {0: 0.1, 1: 0.1, 2: 0.1}}
    found = left_out(valid, valid, THREE, higher=True)
    # seed 1 cannot know that it breaks there itself
    assert found == {0: Pick("b", 0.1), 1: Pick("a", None), 2: Pick("b", 0.1)}
    assert values_of(found) == {0: 0.1, 2: 0.1}


def test_one_seed_has_no_others_to_choose() -> None:
    assert left_out(VALID, TEST, frozenset({0}), True) == {}
    assert best({}, THREE, True) is None


@given(st.lists(st.lists(st.integers(0, 100), min_size=4, max_size=4), min_size=1, max_size=6), st.booleans())
def test_a_seeds_own_values_never_choose_its_candidate(table: list[list[int]], higher: bool) -> None:
    values = {str(place): dict(enumerate(map(float, line))) for place, line in enumerate(table)}
    seeds = frozenset(range(4))
    found = left_out(values, values, seeds, higher)
    for seed in seeds:
        without = {name: {s: v for s, v in own.items() if s != seed} for name, own in values.items()}
        assert found[seed].candidate == best(without, seeds - {seed}, higher)
        assert found[seed].value == values[found[seed].candidate][seed]


@given(st.lists(st.lists(st.integers(0, 100), min_size=3, max_size=3), min_size=1, max_size=6))
def test_lower_is_better_mirrors_higher_is_better(table: list[list[int]]) -> None:
    values = {str(place): dict(enumerate(map(float, line))) for place, line in enumerate(table)}
    mirrored = {name: {seed: -value for seed, value in own.items()} for name, own in values.items()}
    up, down = left_out(values, values, THREE, True), left_out(mirrored, mirrored, THREE, False)
    assert {s: p.candidate for s, p in up.items()} == {s: p.candidate for s, p in down.items()}


# A simulation of nine cells that are all equal in truth, of which six are called decoupled and three coupled. Seeds
# differ, cells differ, and the valid and the test value of a run share most of its luck.
SEEDS, WORLDS, TRUTH = frozenset(range(5)), 1500, 0.7

World: TypeAlias = tuple[Values, Values]


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    rng = np.random.default_rng(20)

    def table(runs: NDArray[np.float64]) -> Values:
        measured = runs + rng.normal(0, 0.005, runs.shape)
        return {str(cell): dict(enumerate(map(float, own))) for cell, own in enumerate(measured)}

    made = []
    for _ in range(WORLDS):
        runs = TRUTH + rng.normal(0, 0.01, (1, len(SEEDS))) + rng.normal(0, 0.01, (9, len(SEEDS)))
        made.append((table(runs), table(runs)))
    return made


def picks(world: World, cells: range, corrected: bool) -> dict[int, Pick]:
    valid, test = ({str(cell): table[str(cell)] for cell in cells} for table in world)
    return left_out(valid, test, SEEDS, True) if corrected else naive(test, SEEDS, True)


def maxima(worlds: list[World], corrected: bool) -> list[tuple[dict[int, Pick], dict[int, Pick]]]:
    """The picks of six decoupled and of three coupled cells in each world."""
    return [(picks(world, range(3, 9), corrected), picks(world, range(3), corrected)) for world in worlds]


def means(picked: list[dict[int, Pick]]) -> list[float]:
    return [mean(values_of(one).values()) for one in picked]


def test_the_naive_difference_and_the_naive_best_are_too_high(worlds: list[World]) -> None:
    decoupled, coupled = (means(list(one)) for one in zip(*maxima(worlds, corrected=False), strict=True))
    # of six normal values the greatest is 1.267 deviations above the mean, of three 0.846
    deviation = sqrt((0.01**2 + 0.005**2) / 5)
    assert mean(decoupled) - mean(coupled) == pytest.approx((1.267 - 0.846) * deviation, rel=0.1)
    assert mean(decoupled) - TRUTH == pytest.approx(1.267 * deviation, rel=0.1)


def test_the_corrected_ones_are_not(worlds: list[World]) -> None:
    decoupled, coupled = (means(list(one)) for one in zip(*maxima(worlds, corrected=True), strict=True))
    for errors in ([a - b for a, b in zip(decoupled, coupled, strict=True)], [a - TRUTH for a in decoupled]):
        assert abs(mean(errors)) < 3 * stdev(errors) / sqrt(len(errors))


def test_the_widened_interval_errs_at_most_as_often_as_it_says_and_students_does_not(worlds: list[World]) -> None:
    found = maxima(worlds, corrected=True)
    widened = [difference(a, b, 0.05) for a, b in found]
    plain = [paired(values_of(a), values_of(b), 0.05) for a, b in found]

    def errs(pair: Paired | None) -> bool:
        assert pair is not None
        return (pair.low is not None and pair.low > 0) or (pair.high is not None and pair.high < 0)

    assert mean(map(errs, widened)) < 0.05
    assert mean(map(errs, plain)) > 0.07


def test_the_widened_interval_is_as_by_hand() -> None:
    a = {seed: Pick("a", value) for seed, value in enumerate([0.7, 0.8, 0.9])}
    b = {seed: Pick("b", 0.5) for seed in range(3)}
    pair, level = difference(a, b, 0.05), interval_of(a, 0.05)
    assert pair is not None
    assert level is not None
    # t of two degrees of freedom at 0.975 is 4.3027; the deviation is 0.1; 1 + 3/2 = 2.5
    half = 4.30265 * 0.1 / sqrt(3) * sqrt(2.5)
    assert (pair.difference, pair.low, pair.high) == pytest.approx((0.3, 0.3 - half, 0.3 + half), rel=1e-4)
    assert (level.mean, level.low, level.high) == pytest.approx((0.8, 0.8 - half, 0.8 + half), rel=1e-4)
    # t = 0.3 / 0.1 * sqrt(3 / 2.5) = 3.2863; with two degrees of freedom p = 1 - t / sqrt(t^2 + 2)
    assert pair.p == pytest.approx(1 - 3.28634 / sqrt(3.28634**2 + 2), rel=1e-4)


def test_where_student_gives_no_interval_there_is_none() -> None:
    one = {0: Pick("a", 0.5)}
    lone, level = difference(one, one, 0.05), interval_of(one, 0.05)
    assert lone is not None
    assert level is not None
    assert lone.low is lone.p is level.low is None
    assert difference(one, {1: Pick("a", 0.5)}, 0.05) is None
    assert interval_of({0: Pick("a", None)}, 0.05) is None
    equal = difference({0: Pick("a", 0.5), 1: Pick("a", 0.6)}, {0: Pick("a", 0.4), 1: Pick("a", 0.5)}, 0.05)
    assert equal is not None
    assert (equal.low, equal.p) == (None, 0.5)
