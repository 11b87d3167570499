"""From rows to cells: what one entry achieved at one density, per seed.

Draws average within a seed; a seed with a run that is not ok has an outcome instead of a value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import mean
from typing import TypeAlias

from prunebench.api.errors import PrunebenchError, nearest
from prunebench.api.positions import Position
from prunebench.leaderboard.untyped import Row

_SAME_DENSITY = 0.005
"""Densities nearer than this share one column: rounding each layer's count moves a density by less."""

AXES = {
    "density": "density of the units that may be pruned",
    "density_all": "density over all parameters",
    "density_macs": "share of the multiply-accumulates that is left",
}
"""What the columns of a leaderboard may be, and how it says so."""

_WORST_FIRST = ("failed", "diverged", "collapsed")

Trial: TypeAlias = tuple[str, int]
"""(entry, seed), within one model and data."""


@dataclass(frozen=True)
class Judged:
    """A run that was judged: its round and draw, and its last value."""

    round: int
    draw: int
    value: float


@dataclass(frozen=True)
class Cell:
    """The trials of one entry at one density: value by seed, or outcome by seed where it is not "ok".

    Args:
        inclusive: the values with those that collapsed trials had, for tables that count them in.
        runs: the runs behind each seed's value.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    broken: Mapping[int, str] = field(default_factory=dict)
    inclusive: Mapping[int, float] = field(default_factory=dict)
    runs: Mapping[int, tuple[Judged, ...]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Seeds with a value."""
        return len(self.values)

    @property
    def trials(self) -> int:
        """Seeds with a value or an outcome that is not ok."""
        return len(self.values) + len(self.broken)


@dataclass(frozen=True)
class Group:
    """All cells of one model on one data set, for one metric.

    Args:
        entries: in file order, dense references among them.
        dense: the entries that were evaluated only at round 0.
        densities: the columns, from dense to sparse.
        labels: each column's density in percent, distinct.
        overall: each column's least and greatest density over all parameters.
        cells: by (entry, column's density); absent where nothing was tried.
        unit: the metric's unit; empty if no row has it.
        unplaced: (entry, seed, outcome) of trials that broke where there is no column to show it in.
    """

    model: str
    data: str
    entries: tuple[str, ...]
    dense: frozenset[str]
    densities: tuple[float, ...]
    labels: Mapping[float, str]
    overall: Mapping[float, tuple[float, float]]
    cells: Mapping[tuple[str, float], Cell]
    unit: str
    unplaced: tuple[tuple[str, int, str], ...]
    axis: str = AXES["density"]
    """What the columns are."""

    @property
    def ranked(self) -> tuple[str, ...]:
        """The entries that are ranked: all but the dense references."""
        return tuple(entry for entry in self.entries if entry not in self.dense)

    @property
    def references(self) -> tuple[str, ...]:
        """The dense references, in file order."""
        return tuple(entry for entry in self.entries if entry in self.dense)

    def at(self, entry: str, density: float) -> Cell:
        """The entry's cell at a column; empty if nothing was tried. A dense reference is the same at all of them."""
        return self.cells.get((entry, 1.0 if entry in self.dense else density), Cell())

    def column(self, density: float) -> float | None:
        """The evaluated density that a stated one means: the nearest that prints so, as `densities` of a file do."""
        return density_column(self.densities, density)


def density_column(densities: Sequence[float], density: float) -> float | None:
    """The one of several densities that a stated one means; None if none is near and none prints so."""
    decimals = len(f"{density:.10f}".rstrip("0").partition(".")[2])
    close = [d for d in densities if abs(d - density) <= _SAME_DENSITY * density or round(d, decimals) == density]
    return min(close, key=lambda d: abs(d - density)) if close else None


def group_rows(rows: Sequence[Row], metric: str, entries: Sequence[str]) -> list[Group]:
    """The groups of a leaderboard, by model and data in the order of their names.

    Args:
        metric: "split/name", as in "test/accuracy"; only rows of the role "evaluate" and of twin 0 count, and of a
            run's measurements the last (the best would choose by the test set).
        entries: the file's order; entries that it lacks follow by name.
    Raises: PrunebenchError if no row has the metric although some trial is ok, or if two rows contradict each other.
    """
    known = {f"{row['split']}/{row['metric']}" for row in rows if row["role"] == "evaluate" and row["metric"]}
    if not rows:
        raise PrunebenchError("no results: there is nothing to rank")
    if metric not in known and any(row["outcome"] == "ok" for row in rows):
        raise PrunebenchError(f'metric "{metric}": no evaluation has it.{nearest(metric, known)}')
    by_group: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_group[row["model"], row["data"]].append(row)
    return [_group(model, data, by_group[model, data], metric, entries) for model, data in sorted(by_group)]


def _group(model: str, data: str, rows: Iterable[Row], metric: str, order: Sequence[str]) -> Group:
    rows = [row for row in rows if row["role"] != "analyse" and row["twin"] == 0]
    judged = [row for row in rows if row["role"] == "evaluate" and row["density"] is not None]
    found = {row["entry"] for row in rows}
    names = tuple(dict.fromkeys([e for e in order if e in found] + sorted(found)))
    dense = frozenset(name for name in names if _is_dense([row for row in rows if row["entry"] == name]))
    columns = _columns({(float(row["density"]), row["entry"], row["seed"]) for row in judged})
    densities = tuple(sorted(set(columns.values()), reverse=True))
    overall: dict[float, list[float]] = defaultdict(list)
    for row in judged:
        if row["density_all"] is not None:
            overall[columns[row["density"], row["entry"], row["seed"]]].append(row["density_all"])
    ours = [row for row in judged if f"{row['split']}/{row['metric']}" == metric]
    cells, unplaced = _cells(rows, ours, judged, columns, dense)
    return Group(
        model=model,
        data=data,
        entries=names,
        dense=dense,
        densities=densities,
        labels=density_labels(densities),
        overall={density: (min(shares), max(shares)) for density, shares in overall.items()},
        cells=cells,
        unit=next((row["unit"] for row in ours if row["unit"]), ""),
        unplaced=unplaced,
        axis=AXES[next((row["axis"] for row in judged if "axis" in row), "density")],
    )


def _is_dense(rows: Sequence[Row]) -> bool:
    """Evaluated, only at round 0, and not because finding a ticket broke there."""
    evaluated = any(row["role"] == "evaluate" for row in rows)
    broken = any(row["role"] == "find" and row["outcome"] != "ok" for row in rows)
    return evaluated and not broken and all(row["round"] == 0 for row in rows)


def _columns(points: set[tuple[float, str, int]]) -> dict[tuple[float, str, int], float]:
    """The column of each (density, entry, seed): its greatest density.

    Two densities of one trial never share a column, and only 1 itself is dense.
    """
    columns: dict[tuple[float, str, int], float] = {}
    top: float | None = None
    held: dict[Trial, float] = {}
    for density, entry, seed in sorted(points, reverse=True):
        apart = top is None or density < top * (1 - _SAME_DENSITY) or (top == 1.0) != (density == 1.0)
        if apart or held.get((entry, seed), density) != density:
            top, held = density, {}
        assert top is not None
        held[entry, seed] = density
        columns[density, entry, seed] = top
    return columns


def density_labels(densities: Sequence[float]) -> dict[float, str]:
    """Densities in percent with three significant digits, or as many as tell them apart."""
    digits = 3
    while True:
        labels = {density: _percent(density, digits) for density in densities}
        if len(set(labels.values())) == len(labels) or digits == 12:
            return labels
        digits += 1


def _percent(density: float, digits: int) -> str:
    return f"{100 * density:#.{digits}g}".rstrip(".") + " %"


def _cells(
    rows: Sequence[Row],
    ours: Sequence[Row],
    judged: Sequence[Row],
    columns: Mapping[tuple[float, str, int], float],
    dense: frozenset[str],
) -> tuple[dict[tuple[str, float], Cell], tuple[tuple[str, int, str], ...]]:
    runs = _runs([row for row in ours if row["outcome"] == "ok"], columns)
    counted = _runs([row for row in ours if row["outcome"] in ("ok", "collapsed")], columns)
    broken: dict[tuple[str, float], dict[int, str]] = defaultdict(dict)
    unplaced: set[tuple[str, int, str]] = set()

    def break_(entry: str, density: float, seed: int, outcome: str) -> None:
        seen = broken[entry, density].get(seed, outcome)
        broken[entry, density][seed] = min(seen, outcome, key=_WORST_FIRST.index)

    for row in judged:
        if row["outcome"] != "ok":
            break_(row["entry"], columns[row["density"], row["entry"], row["seed"]], row["seed"], row["outcome"])
    tried = {(row["entry"], columns[row["density"], row["entry"], row["seed"]], row["seed"]) for row in judged}
    # a find run that broke leaves no ticket to judge at its density and below: that trial is not merely missing
    lost = [row for row in rows if row["outcome"] != "ok" and (row["role"] == "find" or row["density"] is None)]
    for row in lost:
        entry, seed = row["entry"], row["seed"]
        reached = 1.0 if row["density"] is None else row["density"]
        placed = any((entry, density, seed) in tried for density in set(columns.values()))
        for density in set(columns.values()):
            meant = density == 1.0 if entry in dense else density < 1.0
            if meant and density <= reached * (1 + _SAME_DENSITY) and (entry, density, seed) not in tried:
                break_(entry, density, seed, row["outcome"])
                placed = True
        if not placed:
            unplaced.add((entry, seed, row["outcome"]))
    cells = {at: _cell(runs.get(at, {}), counted.get(at, {}), broken.get(at, {})) for at in sorted({*runs, *broken})}
    return cells, tuple(sorted(unplaced))


def _cell(
    runs: Mapping[int, Sequence[Judged]], counted: Mapping[int, Sequence[Judged]], broken: Mapping[int, str]
) -> Cell:
    whole = {seed: tuple(runs[seed]) for seed in sorted(runs) if seed not in broken}
    return Cell(
        values={seed: mean(run.value for run in own) for seed, own in whole.items()},
        broken=dict(sorted(broken.items())),
        inclusive={
            seed: mean(run.value for run in counted[seed])
            for seed in sorted(counted)
            if broken.get(seed, "collapsed") == "collapsed"
        },
        runs=whole,
    )


def _runs(
    ours: Sequence[Row], columns: Mapping[tuple[float, str, int], float]
) -> dict[tuple[str, float], dict[int, list[Judged]]]:
    """The last value of each run, by entry and column, then by seed."""
    runs: dict[tuple[str, float, int, int, int], dict[tuple[str, Fraction], float]] = defaultdict(dict)
    for row in ours:
        if row["value"] is None:
            continue
        entry, seed, value = row["entry"], row["seed"], float(row["value"])
        points = runs[entry, columns[row["density"], entry, seed], seed, row["round"], row["draw"]]
        at = position(row)
        if points.setdefault(at, value) != value:
            raise PrunebenchError(
                f'entry "{entry}": seed {seed}, round {row["round"]}, draw {row["draw"]}: two values of '
                f"{row['split']}/{row['metric']} at {row['position']!r}: {points[at]!r} and {value!r}"
            )
    found: dict[tuple[str, float], dict[int, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for (entry, density, seed, round_, draw), points in sorted(runs.items()):
        if len({unit for unit, _ in points}) > 1:
            raise PrunebenchError(f'entry "{entry}": seed {seed}: positions in different units have no last one')
        found[entry, density][seed].append(Judged(round_, draw, points[max(points)]))
    return found


def position(row: Row) -> tuple[str, Fraction]:
    """Where in its run a row was measured."""
    if not row["position"]:
        return "", Fraction(0)
    try:
        position = Position.parse(row["position"])
    except ValueError as error:
        raise PrunebenchError(f'entry "{row["entry"]}": {error}') from error
    return position.unit, position.amount
