"""From points to cells: what one entry achieved at one place, per seed.

Draws average within a seed; a seed with a run that is not ok has an outcome instead of a value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from types import MappingProxyType
from typing import TypeAlias

from prunebench.api.board import SAME_PLACE, Between, Cell, Gap
from prunebench.api.rows import Outcome
from prunebench.leaderboard.axis import AxisPoint
from prunebench.leaderboard.tickets import Lost, worst

EntryPlace: TypeAlias = tuple[str, float]
"""(entry, column's place)."""


@dataclass(frozen=True)
class Cells:
    """The cells of one model and data, without statistics.

    Args:
        places: the columns', from dense to sparse.
        overall: by place, the least and greatest density over all parameters of its tickets, where one is known.
        by_where: absent where nothing was tried.
        unplaced: (entry, seed, outcome) of trials without a value where there is no column to show them in.
    """

    places: tuple[float, ...]
    overall: Mapping[float, tuple[float, float]]
    by_where: Mapping[EntryPlace, Cell]
    unplaced: tuple[tuple[str, int, Outcome], ...]

    def at(self, entry: str, place: float) -> Cell:
        """The cell of an entry at a place; empty if nothing was tried there."""
        return self.by_where.get((entry, place), Cell())


def cells_of(
    points: Sequence[AxisPoint],
    lost: Iterable[Lost],
    dense: frozenset[str],
    inapplicable: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
) -> Cells:
    """Points and broken runs as cells.

    Args:
        lost: runs whose trials count at the columns that they never reached.
        dense: the entries that are references.
        inapplicable: by entry and seed, why a method does not apply: a gap at each place that others were pruned to.
    """
    columns = columns_of({(point.place, point.entry, point.seed) for point in points})
    places = tuple(sorted(set(columns.values()), reverse=True))
    gathered: dict[EntryPlace, dict[int, list[AxisPoint]]] = defaultdict(lambda: defaultdict(list))
    overall: dict[float, list[float]] = defaultdict(list)
    for point in points:
        place = columns[point.place, point.entry, point.seed]
        gathered[point.entry, place][point.seed].append(point)
        if point.overall is not None:
            overall[place].append(point.overall)
    never_reached, unplaced = _spread(lost, places, gathered, dense)
    cells = {
        where: _cell(gathered.get(where, {}), never_reached.get(where, {}))
        for where in sorted({*gathered, *never_reached})
    }
    pruned = [place for place in places if place < 1] or places
    for entry, why in inapplicable.items():
        gaps = {seed: Gap("inapplicable", note=note) for seed, note in sorted(why.items())}
        cells |= {(entry, place): Cell(missing=gaps) for place in pruned}
        unplaced += () if pruned else tuple((entry, seed, "inapplicable") for seed in gaps)
    return Cells(
        places=places,
        overall={place: (min(shares), max(shares)) for place, shares in overall.items()},
        by_where={where: cell for where, cell in cells.items() if cell.trials or cell.missing},
        unplaced=unplaced,
    )


def columns_of(points: set[tuple[float, str, int]]) -> dict[tuple[float, str, int], float]:
    """The column of each (place, entry, seed): the greatest place in it.

    Two places of one trial never share a column, and only 1 itself is dense.
    """
    columns: dict[tuple[float, str, int], float] = {}
    top: float | None = None
    held: dict[tuple[str, int], float] = {}
    for place, entry, seed in sorted(points, reverse=True):
        apart = top is None or place < top * (1 - SAME_PLACE) or (top == 1.0) != (place == 1.0)
        if apart or held.get((entry, seed), place) != place:
            top, held = place, {}
        assert top is not None
        held[entry, seed] = place
        columns[place, entry, seed] = top
    return columns


def _spread(
    lost: Iterable[Lost],
    places: Sequence[float],
    gathered: Mapping[EntryPlace, Mapping[int, Sequence[AxisPoint]]],
    dense: frozenset[str],
) -> tuple[dict[EntryPlace, dict[int, Outcome]], tuple[tuple[str, int, Outcome], ...]]:
    """The outcomes of broken runs at the columns that they never reached, and those for which there is no column."""

    def tried(entry: str, place: float, seed: int) -> bool:
        return seed in gathered.get((entry, place), {})

    broken: dict[EntryPlace, dict[int, Outcome]] = defaultdict(dict)
    unplaced: set[tuple[str, int, Outcome]] = set()
    for run in lost:
        reached = 1.0 if run.density is None else run.density
        counted = any(tried(run.entry, place, run.seed) for place in places)
        for place in places:
            meant = place == 1.0 if run.entry in dense else place < 1.0
            if meant and place <= reached * (1 + SAME_PLACE) and not tried(run.entry, place, run.seed):
                own = broken[run.entry, place]
                own[run.seed] = worst([own.get(run.seed, run.outcome), run.outcome])
                counted = True
        if not counted:
            unplaced.add((run.entry, run.seed, run.outcome))
    return broken, tuple(sorted(unplaced))


def _cell(by_seed: Mapping[int, Sequence[AxisPoint]], never_reached: Mapping[int, Outcome]) -> Cell:
    broken = dict(never_reached)
    for seed, points in by_seed.items():
        outcome = worst(point.outcome for point in points)
        if outcome != "ok":
            broken[seed] = outcome
    values = {seed: [p.value for p in points if p.value is not None] for seed, points in sorted(by_seed.items())}
    whole = {seed: own for seed, own in values.items() if own and seed not in broken}
    between = {seed: one for seed in whole for one in (by_seed[seed][0].between,) if one is not None}
    missing = {seed: gap for seed, points in sorted(by_seed.items()) for gap in (points[0].gap,) if gap is not None}
    drawn = {seed: [*(points[0].draws or values[seed])] for seed, points in by_seed.items() if seed in whole}
    draws = {seed: max(own) - min(own) for seed, own in sorted(drawn.items()) if len(own) > 1}
    return Cell(
        values={seed: mean(own) for seed, own in whole.items()},
        broken=dict(sorted(broken.items())),
        missing=missing,
        inclusive={
            seed: mean(own) for seed, own in values.items() if own and broken.get(seed, "collapsed") == "collapsed"
        },
        runs={seed: tuple(p.run for p in by_seed[seed] if p.run is not None) for seed in whole if seed not in between},
        between=between,
        draws=draws,
        apart=max(draws.values(), default=None),
        neighbours=_mean_of(list(between.values())) if between else None,
        cut_off=sum(any(point.cut_off for point in by_seed[seed]) for seed in whole),
    )


def _mean_of(between: Sequence[Between]) -> Between:
    places, values = zip(*((one.places, one.values) for one in between), strict=True)
    above, below = (tuple(map(mean, zip(*pairs, strict=True))) for pairs in (places, values))
    return Between((above[0], above[1]), (below[0], below[1]))
