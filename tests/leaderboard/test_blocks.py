import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench.api.board import Blocks, Board
from prunebench.leaderboard.ranks import cliques, draw_ranks
from prunebench.leaderboard.readme.blocks import blocks_text
from prunebench.stats.friedman import critical_difference

from . import boards
from .boards import row

ENTRIES = ("a", "b", "c", "d")


def rows_of(scores: list[list[float]], entries: tuple[str, ...] = ENTRIES) -> list[dict[str, Any]]:
    """Each list is a data set, each value an entry's, in two seeds."""
    return [
        row(entry, seed, 0.5, value, data=f"data{block}")
        for block, own in enumerate(scores)
        for entry, value in zip(entries, own, strict=True)
        for seed in range(2)
    ]


def board(rows: list[dict[str, Any]]) -> Board:
    return boards.board(rows, entries=ENTRIES, against=None)


def blocks(rows: list[dict[str, Any]]) -> Blocks:
    return board(rows).blocks


def text(rows: list[dict[str, Any]]) -> str:
    return blocks_text(board(rows), "ranks.svg")


@pytest.mark.parametrize(("entries", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_demsars_q(entries: int, q: float) -> None:
    assert critical_difference(entries, 6, 0.05) == pytest.approx(q * (entries * (entries + 1) / 36) ** 0.5, abs=2e-3)


def test_the_statistic_is_scipys_on_the_scores_with_the_best_ranked_first() -> None:
    scores = np.random.default_rng(1).random((6, 4)).round(1) / 2 + 0.4
    found = blocks(rows_of(scores.tolist()))
    test = stats.friedmanchisquare(*scores.T)
    assert (found.statistic, found.p) == pytest.approx((test.statistic, test.pvalue))
    expected = stats.rankdata(-scores, axis=1).mean(axis=0)
    assert found.mean_ranks == pytest.approx(dict(zip(ENTRIES, expected, strict=True)))
    assert list(found.mean_ranks.values()) == sorted(found.mean_ranks.values())


def test_four_blocks_or_two_entries_are_too_few_and_the_page_says_so() -> None:
    rows = rows_of([[0.9, 0.8, 0.7, 0.6]] * 4)
    four = blocks(rows)
    assert (four.p, four.critical) == (None, None)
    assert four.mean_ranks == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert "No test: too few: 4 entries in 4 blocks" in text(rows)
    assert "too few: 2 entries in 6 blocks" in text(rows_of([[0.9, 0.8]] * 6, ("a", "b")))


def test_seeds_are_no_blocks() -> None:
    rows = [row(entry, seed, 0.5, 0.9) for entry in ENTRIES for seed in range(30)]
    assert len(blocks(rows).names) == 1
    assert text(rows).startswith("No mean ranks: there is one model on one data set")


def test_entries_equal_everywhere_are_not_tested() -> None:
    found = blocks(rows_of([[0.9] * 4] * 6))
    assert found.why == "all entries are equal in every block"
    assert set(found.mean_ranks.values()) == {2.5}


def test_an_entry_that_a_block_lacks_is_left_out() -> None:
    rows = rows_of([[0.9, 0.8, 0.7, 0.6]] * 6)
    rows = [r for r in rows if not (r["entry"] == "d" and r["data"] == "data3")]
    assert list(blocks(rows).mean_ranks) == ["a", "b", "c"]
    assert blocks(rows).partial == ("d",)
    assert "since not every block has them: d." in text(rows)
    assert "No mean ranks" in text([r for r in rows if r["entry"] == "a"])


def test_the_text_has_the_test_and_the_picture() -> None:
    found = text(rows_of([[0.9, 0.8, 0.7, 0.6]] * 6))
    assert "chi-square 18.00 with 3 degrees of freedom, p<0.001: the entries differ" in found
    assert "(ranks.svg)" in found


@settings(deadline=None)
@given(st.lists(st.floats(1, 9), min_size=2, max_size=9).map(sorted), st.floats(0.1, 4))
def test_bars_join_exactly_the_entries_within_the_critical_difference(ranks: list[float], critical: float) -> None:
    bars = cliques(ranks, critical)
    for first, last in bars:
        assert ranks[last] - ranks[first] <= critical
    for a in range(len(ranks)):
        for b in range(a + 1, len(ranks)):
            joined = any(first <= a and b <= last for first, last in bars)
            assert joined == (ranks[b] - ranks[a] <= critical)
    assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(bars))


def test_the_picture_has_every_name_as_text_and_equal_bytes() -> None:
    found = Blocks((), {"a & b": 1.2, "$x$": 2.0, "<i>": 2.8}, 1.0, 0.5, 1.4, "")
    svg = draw_ranks(found)
    assert svg == draw_ranks(found)
    root = ElementTree.fromstring(svg)
    texts = "\n".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    assert all(name in texts for name in ("a & b", "$x$", "<i>", "critical difference 1.40"))
