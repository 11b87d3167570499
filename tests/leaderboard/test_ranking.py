from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.board import Board
from prunebench.api.report import rule
from prunebench.leaderboard.readme.neighbours import neighbours_table
from prunebench.stats.student import holm, paired

from . import boards
from .boards import lines_of, results, row


def board(scores: dict[str, list[float]]) -> Board:
    """One density; each entry's values by seed."""
    rows = [row(entry, seed, 0.5, value) for entry, own in scores.items() for seed, value in enumerate(own)]
    return boards.board(rows, entries=tuple(scores))


def ranks(scores: dict[str, list[float]]) -> dict[str, int | None]:
    (group,) = board(scores).groups
    return {name: group.entries[name].rank for name in group.order}


def test_with_one_seed_no_entry_ranks_above_another_and_the_rule_says_so() -> None:
    group = boards.group(results(seeds=1))
    assert [group.entries[name].rank for name in group.order] == [None, None, None]
    assert group.order == ("imp", "imp-late", "random")
    assert "An entry that was tried with one seed has no rank" in rule(group, 0.05)


def test_one_image_of_a_thousand_in_two_seeds_makes_no_rank() -> None:
    assert ranks({"a": [0.901, 0.911], "b": [0.9, 0.91]}) == {"a": 1, "b": 1}


def test_a_better_mean_of_other_seeds_never_ranks_an_entry_below_one_that_it_beats() -> None:
    rows = [row("a", seed, 0.5, 0.90 + seed / 1e4) for seed in range(3)]
    rows += [row("a", seed, 0.5, 0.99) for seed in range(3, 9)]
    rows += [row("b", seed, 0.5, 0.92 + seed / 5e3) for seed in range(3)]
    assert boards.ranks(rows, entries=("a", "b")) == [("a", 1), ("b", 1)]


def test_the_correction_is_holms_over_all_pairs() -> None:
    scores = {name: [0.9 - i / 50 + j / 1000 * (i + 1) for j in range(4)] for i, name in enumerate("abcd")}
    tests = board(scores).groups[0].comparisons
    pairs = list(combinations(scores, 2))
    raw = [paired(dict(enumerate(scores[a])), dict(enumerate(scores[b])), 0.05).p for a, b in pairs]
    assert [tests[at].p for at in pairs] == pytest.approx(holm([p for p in raw if p is not None]))
    for a, b in pairs:
        one, other = tests[a, b].pair, tests[b, a].pair
        assert (other.difference, other.p) == (-one.difference, one.p)
        assert one.low is not None
        assert other.high == -one.low


@settings(max_examples=25, deadline=None)
@given(st.permutations(results(seeds=4)))
def test_ranks_do_not_depend_on_the_order_of_the_rows(rows: list[dict[str, Any]]) -> None:
    assert boards.ranks(rows) == boards.ranks(results(seeds=4))


def test_entries_without_any_difference_are_ranked_apart_no_more_often_than_alpha() -> None:
    draws = np.random.default_rng(5).normal(0.9, 0.01, size=(400, 4, 4))
    apart = sum(
        max(rank or 0 for rank in ranks(dict(zip("abcd", own, strict=True))).values()) > 1 for own in draws.tolist()
    )
    assert apart / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_neighbours_show_the_difference_to_the_entry_above_and_to_the_one_that_decided() -> None:
    scores = {"a": [0.90, 0.91, 0.92], "b": [0.89, 0.91, 0.915], "c": [0.5, 0.51, 0.521]}
    found = board(scores)
    text = neighbours_table(found.groups[0], found)
    lines = lines_of(text)
    assert [line[:3] for line in lines[2:]] == [["1", "b", "a"], ["3", "c", "b"]]
    assert lines[2][4:] == ["–", "–"]
    assert lines[3][4] == "a"
    assert lines[3][5].startswith("**-39.97 ±")
    assert "over all 3 pairs" in text


def test_neighbours_without_a_common_seed_are_said_so() -> None:
    rows = [row("a", s, 0.5, 0.9) for s in (0, 1)] + [row("b", s, 0.5, 0.8) for s in (2, 3)]
    found = boards.board(rows)
    assert "no common seed" in neighbours_table(found.groups[0], found)
    lone = boards.board([row("a", 0, 0.5, 0.9)])
    assert neighbours_table(lone.groups[0], lone) == "None: fewer than two entries are ranked."


def test_alone_an_entry_has_no_rank_and_the_rule_says_why() -> None:
    lone = [row("a", seed, 0.5, 0.9 + seed / 100) for seed in range(3)]
    group = boards.group(lone, entries=("a", "b"))
    assert group.entries["a"].rank is None
    assert "No rank: a alone has a value here" in rule(group, 0.05)
    group = boards.group([*lone, *(row("b", seed, 0.5, 0.8) for seed in range(3))], entries=("a", "b"))
    assert group.entries["a"].rank == 1
