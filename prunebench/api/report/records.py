"""A board as flat records, one for each cell: for spreadsheets, data frames and trackers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from prunebench.api.board import Board, Cell, Entry, Group
from prunebench.api.estimates import Paired

Value: TypeAlias = str | int | float | None

RECORD_COLUMNS = (
    *("model", "data", "entry", "rank", "metric", "unit", "axis", "place"),
    *("n", "collapsed", "diverged", "failed", "interpolated", "mean", "low", "high"),
    *("against", "difference", "difference_low", "difference_high", "p_holm", "pairs"),
)
"""The columns of `board_records`, in their order. New ones are added at the end, and none is ever renamed."""


def board_records(board: Board) -> list[tuple[Value, ...]]:
    """Every cell in which something was tried, in the order of the main tables; null where there is no number.

    Means and ends of intervals are in the stored unit. `rank` is null for dense references. `interpolated` counts the
    seeds whose value lies between tickets. `difference` is to the entry that the file compares with, paired by seed.
    """
    return [
        _record(board, group, entry, place, cell)
        for group in board.groups
        for entry in group.shown
        for place, cell in entry.cells.items()
        if cell.trials
    ]


def _record(board: Board, group: Group, entry: Entry, place: float, cell: Cell) -> tuple[Value, ...]:
    interval = cell.interval
    ends = (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)
    counts = (cell.outcomes.get(outcome, 0) for outcome in ("collapsed", "diverged", "failed"))
    return (
        *(group.model, group.data, entry.name, entry.rank, group.metric.name, group.metric.unit, board.axis, place),
        *(cell.n, *counts, len(cell.between), *ends),
        *_difference(group, entry.name, place),
    )


def _difference(group: Group, entry: str, place: float) -> Iterator[Value]:
    differences = group.differences
    found = None if differences is None else differences.by_place.get((entry, place))
    if differences is None or found is None or found.pair is None:
        return iter((None,) * 6)
    pair: Paired = found.pair
    return iter((differences.against, pair.difference, pair.low, pair.high, found.p, pair.n))
