"""One side of an expectation: what an entry measured, by place and then by seed.

A metric is of evaluations ("test/accuracy"), of an analysis ("movement/ratio"), or made of another
("test/accuracy/smallest_matching_density"). Its places are densities, or the rounds of an analysis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from prunebench.api.errors import PrunebenchError, nearest
from prunebench.api.positions import Position
from prunebench.benchmark.expectations import SMALLEST
from prunebench.leaderboard.cells import Cell, Group, density_column, group_rows
from prunebench.leaderboard.metrics import Metric, metric_of
from prunebench.leaderboard.smallest import smallest
from prunebench.leaderboard.untyped import Row

Where: TypeAlias = tuple[str, str]
"""(model, data)."""

DEFAULT = "test/accuracy"


@dataclass(frozen=True)
class Side:
    """What is looked at: an entry's metric, at one density or round or at all, at one position or the last."""

    entry: str
    metric: str
    density: float | None = None
    round: int | None = None
    position: str | None = None

    @property
    def said(self) -> str:
        """The metric and where it is looked at, in words."""
        at = [] if self.density is None else [f"at density {100 * self.density:.3g} %"]
        at += [] if self.round is None else [f"in round {self.round}"]
        at += (
            []
            if self.position is None
            else [f"at {'the ' if self.position in ('start', 'end') else ''}{self.position}"]
        )
        return " ".join([self.metric, *at])


@dataclass(frozen=True)
class Found:
    """What was found on one model and data.

    Args:
        cells: by place, in order; empty if that was not measured, or not there.
        kind: what the places are; "any" where one value holds at all of them.
        metric: how its numbers read.
    """

    cells: Mapping[float, Cell]
    kind: str
    metric: Metric


def sides(expectation: Mapping[str, Any]) -> tuple[Side, Side | float]:
    """The two sides of an `[[expect]]`; the second is a number where one is stated."""
    better = Side(
        str(expectation["better"]),
        str(expectation.get("metric") or DEFAULT),
        expectation.get("density"),
        expectation.get("round"),
        expectation.get("position"),
    )
    than = {name: value for name, value in (expectation.get("than") or {}).items() if value is not None}
    if "value" in than:
        return better, float(than["value"])
    # another place is stated as a density or as a round, and takes the place of either
    elsewhere = {"density": None, "round": None} if {"density", "round"} & than.keys() else {}
    own = {name: getattr(better, name) for name in ("metric", "density", "round", "position")}
    return better, Side(str(expectation["worse"]), **{**own, **elsewhere, **than})


def measured(rows: Sequence[Row]) -> list[str]:
    """The metrics that an expectation may be of, but for those made of others."""
    return sorted({name_of(row) for row in rows if row["role"] in ("evaluate", "analyse") and row["metric"]})


def base_of(metric: str) -> str:
    """The measured metric that another is made of; itself if it is made of none."""
    return DEFAULT if metric == SMALLEST else metric.removesuffix(f"/{SMALLEST}")


def name_of(row: Row) -> str:
    """A row's metric as a file names it: measurements of analyses may be of no split."""
    return f"{row['split']}/{row['metric']}" if row["split"] else str(row["metric"])


def look(side: Side, rows: Sequence[Row], entries: Sequence[str], alpha: float) -> dict[Where, Found]:
    """What a side finds, by model and data.

    Raises: PrunebenchError if nothing has the metric, or its positions cannot be told apart.
    """
    if side.metric == SMALLEST or side.metric.endswith(f"/{SMALLEST}"):
        groups = group_rows(rows, base_of(side.metric), entries)
        return {(g.model, g.data): _smallest(side, g, alpha) for g in groups}
    analysed = [row for row in rows if row["role"] == "analyse" and row["metric"]]
    if side.metric in {name_of(row) for row in analysed}:
        return _analysed(side, [row for row in analysed if row["entry"] == side.entry])
    known = measured(rows)
    if side.metric not in known and any(row["outcome"] == "ok" for row in rows):
        raise PrunebenchError(f'metric "{side.metric}": nothing has it.{nearest(side.metric, known)}')
    groups = group_rows(_at(side, rows), side.metric, entries)
    return {(group.model, group.data): _evaluated(side, group) for group in groups}


def _evaluated(side: Side, group: Group) -> Found:
    metric = metric_of(side.metric, group.unit)
    if side.entry in group.dense:
        return Found({1.0: group.at(side.entry, 1.0)}, "any", metric)
    if side.density is not None:
        column = group.column(float(side.density))
        places: Sequence[float] = () if column is None else (column,)
    else:
        # at density 1 nothing is pruned; a round that is asked for may be that one
        places = [d for d in group.densities if (d < 1 or side.round is not None) and group.at(side.entry, d).trials]
    return Found({place: group.at(side.entry, place) for place in places}, "density", metric)


def _at(side: Side, rows: Sequence[Row]) -> list[Row]:
    """The rows without those of this entry and metric that are in another round or at another position."""
    # what is dense has round 0 alone, and is compared with every other round
    rounds = {row["round"] for row in rows if row["role"] == "evaluate" and row["entry"] == side.entry}

    def elsewhere(row: Row) -> bool:
        if row["role"] != "evaluate" or row["entry"] != side.entry:
            return False
        if side.round is not None and rounds != {0} and row["round"] != side.round:
            return True
        if name_of(row) != side.metric or row["value"] is None or side.position in (None, "end"):
            return False
        return not _same(row["position"], "0it" if side.position == "start" else str(side.position))

    return [row for row in rows if not elsewhere(row)]


def _same(a: str, b: str) -> bool:
    try:
        return Position.parse(a) == Position.parse(b)
    except ValueError:
        return a == b


def _smallest(side: Side, group: Group, alpha: float) -> Found:
    """Each seed's smallest density that keeps its dense value; 1 if the first one tried fails already."""
    metric = Metric(side.metric, False, 100.0, 2, "%", "percentage points")
    dense = next(iter(group.references), None)
    if dense is None or side.entry in group.dense or side.entry not in group.entries:
        return Found({}, "any", metric)
    found = smallest(group, side.entry, dense, metric_of(base_of(side.metric), group.unit), alpha).by_seed
    values = {seed: 1.0 if density is None else density for seed, density in found.items()}
    return Found({1.0: Cell(values)}, "any", metric)


def _analysed(side: Side, rows: Sequence[Row]) -> dict[Where, Found]:
    by_where: dict[Where, list[Row]] = defaultdict(list)
    for row in rows:
        by_where[row["model"], row["data"]].append(row)
    return {where: _rounds(side, own) for where, own in sorted(by_where.items())}


def _rounds(side: Side, rows: Sequence[Row]) -> Found:
    """An analysis's measurement by round; -1 stands for the whole trial."""
    ours = [row for row in rows if name_of(row) == side.metric]
    unit = next((row["unit"] for row in ours if row["unit"]), "")
    # an analysis that broke has one row, of its own name and of no round
    component = side.metric.split("/")
    broken = {row["seed"]: row["outcome"] for row in rows if row["outcome"] != "ok" and row["metric"] in component}
    if side.round is not None:
        ours = [row for row in ours if row["round"] == side.round]
    if side.density is not None:
        column = density_column(sorted({r["density"] for r in ours if r["density"] is not None}), float(side.density))
        ours = [row for row in ours if row["density"] is not None and row["density"] == column]
    points: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for row in ours:
        if row["value"] is not None and row["outcome"] == "ok" and row["twin"] == 0:
            points[-1 if row["round"] is None else row["round"], row["seed"]][row["position"]] = float(row["value"])
    cells: dict[float, dict[int, float]] = defaultdict(dict)
    for (round_, seed), values in sorted(points.items()):
        chosen = _position(side, values)
        if chosen is not None:
            cells[round_][seed] = values[chosen]
    whole = set(cells) == {-1}
    cells = cells or defaultdict(dict, {-1: {}} if broken else {})
    found = {
        place: Cell(values, {s: o for s, o in broken.items() if s not in values}) for place, values in cells.items()
    }
    return Found(found, "any" if whole else "round", metric_of(side.metric, unit))


def _position(side: Side, values: Mapping[str, float]) -> str | None:
    """Which of a measurement's positions is meant; None if it was not measured there."""
    if side.position not in (None, "start", "end"):
        return next((position for position in values if _same(position, str(side.position))), None)
    if len(values) == 1:
        return next(iter(values))
    try:
        parsed = {position: Position.parse(position) for position in values}
    except ValueError:
        parsed = {}
    if len({position.unit for position in parsed.values()}) != 1:
        raise PrunebenchError(f'metric "{side.metric}": state a position, one of {", ".join(sorted(values))}')
    ordered = sorted(parsed, key=lambda position: parsed[position].amount)
    return ordered[0] if side.position == "start" else ordered[-1]
