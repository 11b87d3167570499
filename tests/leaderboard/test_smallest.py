from typing import Any

import pytest

from prunebench.api.board import Smallest
from prunebench.leaderboard.readme.smallest import smallest_table

from . import boards
from .boards import row

DENSITIES = (0.8, 0.5, 0.2)


def gaps_of(*gaps: float, seeds: int = 3, metric: str = "accuracy") -> list[dict[str, Any]]:
    """An entry that is apart from dense by a gap at each density, a little different in every seed."""
    rows = [row("dense", seed, 1.0, 0.9 + seed / 100, metric=metric) for seed in range(seeds)]
    for density, gap in zip(DENSITIES, gaps, strict=True):
        rows += [row("imp", s, density, 0.9 + s / 100 + gap + (s - 1) / 1000, metric=metric) for s in range(seeds)]
    return rows


def found(rows: list[dict[str, Any]], **report: Any) -> Smallest:
    smallest = boards.group(rows, **report).entries["imp"].smallest
    assert smallest is not None
    return smallest


def table(rows: list[dict[str, Any]], **report: Any) -> str:
    made = boards.board(rows, **report)
    return smallest_table(made.groups[0], made)


@pytest.mark.parametrize(
    ("gaps", "density"),
    [
        ((0.0, 0.0, 0.0), 0.2),
        ((0.0, 0.0, -0.05), 0.5),
        ((0.0, -0.05, 0.0), 0.8),
        ((-0.05, 0.0, 0.0), None),
        ((0.05, 0.05, 0.05), 0.2),
    ],
)
def test_the_walk_ends_where_a_loss_is_shown_and_does_not_resume(
    gaps: tuple[float, ...], density: float | None
) -> None:
    assert found(gaps_of(*gaps)).tested == density


def test_each_seed_is_held_against_its_own_dense_network() -> None:
    assert found(gaps_of(0.0, 0.0005, -0.0005)).by_seed == {0: None, 1: 0.5, 2: 0.2}


def test_a_trial_that_broke_holds_nothing() -> None:
    rows = [
        {**r, "outcome": "collapsed"} if r["seed"] == 2 and r["density"] == 0.5 else r
        for r in gaps_of(0.01, 0.01, 0.01)
    ]
    got = found(rows)
    assert got.tested == 0.8
    assert got.by_seed == {0: 0.2, 1: 0.2, 2: 0.8}


def test_where_lower_is_better_above_is_worse() -> None:
    rows = gaps_of(-0.05, -0.05, 0.05, metric="loss")
    assert found(rows, metric="test/loss").tested == 0.5
    assert "to be above dense" in table(rows, metric="test/loss")


def test_the_table_has_the_test_the_range_and_each_seed() -> None:
    text = table(gaps_of(0.0, 0.0005, -0.05), against=None)
    line = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert line == ["imp", "50.0 %", "50.0 % to none", "0: none, 1: 50.0 %, 2: 50.0 %"]


def test_one_seed_is_not_tested_and_the_table_says_so() -> None:
    text = table(gaps_of(0.0, 0.0, 0.0, seeds=1), against=None)
    assert "one seed: no test" in text


def test_without_a_dense_reference_there_is_nothing_to_hold_on_to() -> None:
    text = table([row("imp", 0, 0.5, 0.9)], against="imp")
    assert text.startswith("None: there is no dense reference")
