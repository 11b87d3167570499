import random
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.leaderboard.cells import Group, group_rows
from prunebench.leaderboard.metrics import metric_of
from prunebench.leaderboard.neighbours import neighbours_table
from prunebench.leaderboard.ranking import Compared, Place, comparisons, ranking, rule, shared_ranks
from prunebench.stats.student import Paired, holm, paired

from .boards import results, row

ACCURACY = metric_of("test/accuracy", "fraction")


def board(scores: dict[str, list[float]]) -> Group:
    """One density; each entry's values by seed."""
    rows = [row(entry, seed, 0.5, value) for entry, own in scores.items() for seed, value in enumerate(own)]
    return group_rows(rows, "test/accuracy", tuple(scores))[0]


def ranks(scores: dict[str, list[float]], alpha: float = 0.05) -> dict[str, int | None]:
    return {place.entry: place.rank for place in ranking(board(scores), ACCURACY, alpha)}


def test_entries_that_cannot_be_told_apart_share_a_rank_and_the_next_counts_them() -> None:
    scores = {"a": [0.90, 0.91, 0.92], "b": [0.905, 0.9, 0.92], "c": [0.5001, 0.51, 0.5202], "d": [0.50, 0.5104, 0.52]}
    assert ranks(scores) == {"a": 1, "b": 1, "c": 3, "d": 3}


def compared(difference: float, p: float) -> Compared:
    return Compared(Paired(difference, None, None, p, 3), p)


def test_an_entry_is_held_against_the_first_of_its_group_and_not_against_the_last() -> None:
    merits = {"a": (0, -3.0), "b": (0, -2.0), "c": (0, -1.0)}
    tests = {("b", "a"): compared(-1.0, 0.2), ("c", "b"): compared(-1.0, 0.2), ("c", "a"): compared(-2.0, 0.01)}
    places = shared_ranks(merits, tests, True, 0.05)
    assert places == [Place("a", 1), Place("b", 1, "a"), Place("c", 3, "a")]


def test_with_one_seed_no_entry_ranks_above_another_and_the_rule_says_so() -> None:
    group = group_rows(results(seeds=1), "test/accuracy", ())[0]
    assert [place.rank for place in ranking(group, ACCURACY)] == [1, 1, 1]
    assert "Nothing could be tested here" in rule(group, ACCURACY)


def test_one_image_of_a_thousand_in_two_seeds_makes_no_rank() -> None:
    assert ranks({"a": [0.901, 0.911], "b": [0.9, 0.91]}) == {"a": 1, "b": 1}


def test_a_better_mean_of_other_seeds_never_ranks_an_entry_below_one_that_it_beats() -> None:
    rows = [row("a", seed, 0.5, 0.90 + seed / 1e4) for seed in range(3)]
    rows += [row("a", seed, 0.5, 0.99) for seed in range(3, 9)]
    rows += [row("b", seed, 0.5, 0.92 + seed / 5e3) for seed in range(3)]
    places = ranking(group_rows(rows, "test/accuracy", ("a", "b"))[0], ACCURACY)
    assert [(place.entry, place.rank) for place in places] == [("a", 1), ("b", 1)]


def test_the_correction_is_holms_over_all_pairs() -> None:
    scores = {name: [0.9 - i / 50 + j / 1000 * (i + 1) for j in range(4)] for i, name in enumerate("abcd")}
    tests = comparisons(board(scores), 0.05)
    pairs = list(combinations(scores, 2))
    raw = [paired(dict(enumerate(scores[a])), dict(enumerate(scores[b])), 0.05).p for a, b in pairs]
    assert [tests[at].p for at in pairs] == pytest.approx(holm([p for p in raw if p is not None]))
    for a, b in pairs:
        one, other = tests[a, b].pair, tests[b, a].pair
        assert (other.difference, other.p) == (-one.difference, one.p)
        assert one.low is not None
        assert other.high == -one.low


def made_up(shuffle: random.Random, entries: int) -> dict[tuple[str, str], Compared]:
    tests = {}
    for a, b in combinations([f"e{i}" for i in range(entries)], 2):
        p, apart = shuffle.random() ** 4, shuffle.choice([-1.0, 1.0])
        tests[a, b], tests[b, a] = compared(apart, p), compared(-apart, p)
    return tests


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 9))
def test_groups_are_what_the_rule_says(shuffle: random.Random, entries: int) -> None:
    merits = {f"e{i}": (shuffle.choice([0, 0, 1]), round(shuffle.random(), 1)) for i in range(entries)}
    tests = made_up(shuffle, entries)
    places = shared_ranks(merits, tests, True, 0.05)
    assert [merits[place.entry] for place in places] == sorted(merits.values())
    firsts: dict[int, str] = {}
    for number, place in enumerate(places, start=1):
        assert place.rank is not None
        leader = firsts.setdefault(place.rank, place.entry)
        if leader == place.entry:
            assert place.rank == number
            continue
        one = tests[place.entry, leader]
        assert merits[leader][0] == merits[place.entry][0]
        assert not (one.p is not None and one.p < 0.05 and one.pair.difference < 0)
    for above, below in pairwise(sorted(firsts)):
        first, opener = firsts[above], firsts[below]
        one = tests[opener, first]
        more = merits[opener][0] > merits[first][0]
        assert more or (one.p is not None and one.p < 0.05 and one.pair.difference < 0)


@settings(max_examples=25, deadline=None)
@given(st.permutations(results(seeds=4)))
def test_ranks_do_not_depend_on_the_order_of_the_rows(rows: list[dict[str, Any]]) -> None:
    def found(some: list[dict[str, Any]]) -> list[Place]:
        return ranking(group_rows(some, "test/accuracy", ())[0], ACCURACY)

    assert found(rows) == found(results(seeds=4))


def test_entries_without_any_difference_are_ranked_apart_no_more_often_than_alpha() -> None:
    draws = np.random.default_rng(5).normal(0.9, 0.01, size=(400, 4, 4))
    apart = sum(
        max(rank or 0 for rank in ranks(dict(zip("abcd", own, strict=True))).values()) > 1 for own in draws.tolist()
    )
    assert apart / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_neighbours_show_the_difference_to_the_entry_above_and_to_the_one_that_decided() -> None:
    scores = {"a": [0.90, 0.91, 0.92], "b": [0.89, 0.91, 0.915], "c": [0.5, 0.51, 0.521]}
    text = neighbours_table(board(scores), ACCURACY, 0.05)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [line[:3] for line in lines[2:]] == [["1", "b", "a"], ["3", "c", "b"]]
    assert lines[2][4:] == ["–", "–"]
    assert lines[3][4] == "a"
    assert lines[3][5].startswith("**-39.97 ±")
    assert "over all 3 pairs" in text


def test_neighbours_without_a_common_seed_are_said_so() -> None:
    rows = [row("a", 0, 0.5, 0.9), row("b", 1, 0.5, 0.8)]
    assert "no common seed" in neighbours_table(group_rows(rows, "test/accuracy", ())[0], ACCURACY, 0.05)
    lone = group_rows([row("a", 0, 0.5, 0.9)], "test/accuracy", ())[0]
    assert neighbours_table(lone, ACCURACY, 0.05) == "None: fewer than two entries are ranked."
