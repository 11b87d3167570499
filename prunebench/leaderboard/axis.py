"""Comparing entries at equal cost where equal density means nothing: half of the channels is not half of the weights.

Each seed's judged tickets are points over the axis (all parameters, or multiply-accumulates). Between two neighbouring
points the value is interpolated linearly in the logarithm of the axis; beyond a seed's own points, and between points
that are far apart, there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isclose, log
from statistics import mean
from typing import Any

from prunebench.api.errors import PrunebenchError
from prunebench.leaderboard.cells import AXES, position
from prunebench.leaderboard.untyped import Results, Row

WIDEST = 4.0
"""How far apart, as a ratio, two tickets may lie for the line between them to say what is there."""

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
        f"Entries are compared at an equal {AXES[axis]}, since they prune different units. The value of a seed there "
        "is interpolated, linearly in the logarithm, between its two nearest judged tickets; where it has none on both "
        f"sides, or they are more than {WIDEST:g} times apart, there is no value. The tickets themselves "
        "are in results.jsonl."
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


@dataclass(frozen=True)
class _Point:
    """One round's tickets: their density, where they lie on the axis, their mean over draws, the worst outcome.

    A round without a ticket (its training failed or diverged) has no place; what it did, the places near it share.
    """

    density: float
    place: float | None
    value: float | None
    outcome: str


def _interpolated(found: Iterable[Row], axis: str, at: Sequence[float]) -> Iterator[Row]:
    rounds: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        rounds[row["round"]].append(row)
    points = [_point(rows, axis) for rows in rounds.values()]
    template = next(iter(rounds.values()))[0]
    for index, place in enumerate(sorted(at, reverse=True), start=1):
        outcome, value = _at(points, place)
        if outcome is None:
            continue
        # No round has a negative number: what is recorded of rounds must not be taken for what is between them.
        there = {"density": place, "density_all": None, "density_macs": None, "axis": axis, "round": -index, "draw": 0}
        yield {**template, **there, "value": value, "outcome": outcome}


def _point(rows: Sequence[Row], axis: str) -> _Point:
    outcome = _worst(row["outcome"] for row in rows)
    density = mean(row["density"] for row in rows)
    placed = [row[axis] for row in rows if row.get(axis) is not None]
    if len(placed) < len(rows):
        if outcome not in ("failed", "diverged"):
            where = rows[0]
            raise PrunebenchError(
                f"{where['entry']}, seed {where['seed']}, round {where['round']}: no {axis} is recorded; run it again "
                "with an empty store"
            )
        return _Point(density, None, None, outcome)
    values = [row["value"] for row in rows]
    return _Point(density, mean(placed), None if None in values else mean(values), outcome)


def _at(points: Sequence[_Point], place: float) -> tuple[str | None, float | None]:
    """The outcome and the value at a place; neither where it is beyond all tickets."""
    placed = [(point.place, point) for point in points if point.place is not None]
    for where, point in placed:
        if isclose(where, place, rel_tol=1e-9):
            return point.outcome, point.value
    left = min((one for one in placed if one[0] > place), key=lambda one: one[0], default=None)
    right = max((one for one in placed if one[0] < place), key=lambda one: one[0], default=None)
    most = left[1].density if left else inf
    least = right[1].density if right else 0.0
    between = [point.outcome for point in points if point.place is None and least <= point.density <= most]
    if between:
        return _worst(between), None
    if left is None or right is None:
        return None, None
    (left_place, above), (right_place, below) = left, right
    if left_place / right_place > WIDEST:
        return None, None
    outcome = _worst([above.outcome, below.outcome])
    if above.value is None or below.value is None:
        return outcome, None
    share = log(left_place / place) / log(left_place / right_place)
    return outcome, above.value + share * (below.value - above.value)


def _worst(outcomes: Iterable[str]) -> str:
    return min(outcomes, key=_WORST_FIRST.index)
