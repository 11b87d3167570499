"""A board as flat records, one for each cell: for spreadsheets, data frames and trackers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from prunebench.api.board import Board, Cell, Entry, Group
from prunebench.api.estimates import Paired
from prunebench.api.report.numbers import gap_texts

Value: TypeAlias = str | int | float | None

RECORD_COLUMNS = (
    *("model", "data", "entry", "rank", "metric", "unit", "axis", "place"),
    *("n", "collapsed", "diverged", "failed", "interpolated", "mean", "low", "high"),
    *("against", "difference", "difference_low", "difference_high", "p_holm", "pairs"),
    *("seeds", "above_place", "above_mean", "below_place", "below_mean", "missing", "gap"),
    *("draws_apart", "cut_off"),
)
"""The columns of `board_records`, in their order. New ones are added at the end, and none is ever renamed."""


def board_records(board: Board) -> list[tuple[Value, ...]]:
    """Every cell in which something was tried or asked for, in the order of the main tables; null for no number.

    Means and ends of intervals are in the stored unit. `rank` is null for dense references. `difference` is to the
    entry that the file compares with, paired by seed. `seeds` has the values by seed, as in "0:0.91 1:0.92".
    `interpolated` counts the seeds whose value lies between tickets; `above_place` to `below_mean` are these tickets,
    on average. `missing` counts seeds without a value where one was asked for, and `gap` says why. `draws_apart` is how
    far the values of a seed's draws lie apart, the most of all seeds; null where there is one draw. `cut_off` counts
    the seeds whose early stop is the end of training.
    """
    return [
        _record(board, group, entry, place, cell)
        for group in board.groups
        for entry in group.shown
        for place, cell in entry.cells.items()
    ]


def _record(board: Board, group: Group, entry: Entry, place: float, cell: Cell) -> tuple[Value, ...]:
    interval = cell.interval
    ends = (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)
    counts = (cell.outcomes.get(outcome, 0) for outcome in ("collapsed", "diverged", "failed"))
    return (
        *(group.model, group.data, entry.name, entry.rank, group.metric.name, group.metric.unit, board.axis, place),
        *(cell.n, *counts, len(cell.between), *ends),
        *_difference(group, entry.name, place),
        *(" ".join(f"{seed}:{value!r}" for seed, value in sorted(cell.values.items())), *_between(cell)),
        *(len(cell.missing), "; ".join(gap_texts(cell.missing, group.metric))),
        *(cell.apart, cell.cut_off),
    )


def _between(cell: Cell) -> tuple[Value, ...]:
    if cell.neighbours is None:
        return (None,) * 4
    (above, below), (first, second) = cell.neighbours.places, cell.neighbours.values
    return above, first, below, second


def _difference(group: Group, entry: str, place: float) -> Iterator[Value]:
    differences = group.differences
    found = None if differences is None else differences.by_place.get((entry, place))
    if differences is None or found is None or found.pair is None:
        return iter((None,) * 6)
    pair: Paired = found.pair
    return iter((differences.against, pair.difference, pair.low, pair.high, found.p, pair.n))
