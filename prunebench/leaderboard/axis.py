"""Comparing entries at equal cost where equal density means nothing: half of the channels is not half of the weights.

Each seed's judged tickets are points over the axis (all parameters, or multiply-accumulates). Between two neighbouring
points the value is interpolated linearly in the logarithm of the axis; beyond a seed's own points there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isclose, log
from statistics import mean
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.leaderboard.cells import AXES, position
from prunebench.leaderboard.rows import Row
from prunebench.types import Results

_TRIAL = ("entry", "model", "data", "seed")
_WORST_FIRST = ("failed", "diverged", "collapsed", "ok")


def placed(results: Results) -> Results:
    """The results with their evaluations at the places of the report's axis; as they are for density itself."""
    told = results.provenance["report"]
    axis = told.get("axis", "density")
    if axis == "density":
        return results
    told = {**told, "notes": [*told["notes"], note(axis)]}
    rows = list(on_axis(results.rows, axis, told["at"]))
    return replace(results, rows=rows, provenance={**results.provenance, "report": told})


def note(axis: str) -> str:
    """What a reader must know of values that no ticket had."""
    return (
        f"Entries are compared at equal {AXES[axis]}, since they prune different units. The value of a seed there "
        "is interpolated, linearly in the logarithm, between its two nearest judged tickets; where it has none on both "
        "sides there is no value. `results.jsonl` has the tickets themselves."
    )


def on_axis(rows: Sequence[Row], axis: str, at: Sequence[float]) -> Iterator[Row]:
    """Rows with each trial's last values at the places `at` of an axis; analyses and dense references stay.

    Raises:
        PrunebenchError: an evaluation does not say where it lies on the axis.
    """
    yield from (row for row in rows if row["role"] != "evaluate")
    metrics = {f"{row['split']}/{row['metric']}" for row in rows if row["role"] == "evaluate"}
    for metric in sorted(metrics):
        trials: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in _last(rows, metric):
            trials[tuple(row[name] for name in _TRIAL)].append(row)
        for found in trials.values():
            if all(row["round"] == 0 for row in found):
                yield from ({**row, "axis": axis} for row in found)
            else:
                yield from _interpolated(found, axis, at)


def _last(rows: Sequence[Row], metric: str) -> Iterable[Row]:
    """Of each judged run the last row of a metric."""
    last: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row["role"] == "evaluate" and row["twin"] == 0 and f"{row['split']}/{row['metric']}" == metric:
            place = tuple(row[name] for name in (*_TRIAL, "round", "draw"))
            if place not in last or position(row) >= position(last[place]):
                last[place] = row
    return last.values()


def _interpolated(found: Iterable[Row], axis: str, at: Sequence[float]) -> Iterator[Row]:
    rounds: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        rounds[row["round"]].append(row)
    points = sorted((_point(rows, axis) for rows in rounds.values()), key=lambda point: -point[0])
    template = next(iter(rounds.values()))[0]
    for index, place in enumerate(sorted(at, reverse=True), start=1):
        around = _around(points, place)
        if around is None:
            continue
        (left, above, one), (right, below, other) = around
        outcome = min(one, other, key=_WORST_FIRST.index)
        value = None
        if above is not None and below is not None:
            share = 0.0 if left == right else log(left / place) / log(left / right)
            value = above + share * (below - above)
        there = {"density": place, axis: place, "axis": axis, "round": index, "draw": 0}
        yield {**template, **there, "value": value, "outcome": outcome}


def _point(rows: Sequence[Row], axis: str) -> tuple[float, float | None, str]:
    """Where one round's tickets lie, their mean over draws, and the worst outcome among them."""
    if any(row.get(axis) is None for row in rows):
        where = rows[0]
        raise PrunebenchError(
            f"{where['entry']}, seed {where['seed']}, round {where['round']}: no {axis} is recorded; run it again with "
            "an empty store"
        )
    values = [row["value"] for row in rows]
    outcome = min((row["outcome"] for row in rows), key=_WORST_FIRST.index)
    return mean(row[axis] for row in rows), None if None in values else mean(values), outcome


def _around(points: Sequence[tuple[float, Any, str]], place: float) -> tuple[Any, Any] | None:
    """The nearest points on both sides of a place; the same one twice if it lies there."""
    for point in points:
        if isclose(point[0], place, rel_tol=1e-9):
            return point, point
    left = [point for point in points if point[0] > place]
    right = [point for point in points if point[0] < place]
    return (left[-1], right[0]) if left and right else None
