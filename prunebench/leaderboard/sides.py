"""One side of an expectation: what an entry measured, by place and then by seed.

A metric is of evaluations ("test/loss"), of an analysis ("movement/ratio"), or made of another
("test/loss/smallest_matching_density"). Its places are densities, or the rounds of an analysis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from prunebench.api.board import Cell, Expectation, ExpectationSide, place_of
from prunebench.api.errors import PrunebenchError, nearest
from prunebench.api.metric import Metric, metric_of
from prunebench.api.positions import Position
from prunebench.api.rows import Row
from prunebench.benchmark.expectations import SMALLEST
from prunebench.leaderboard.source import ModelData, Source, Tried
from prunebench.stats.smallest import Step, smallest

Kind: TypeAlias = Literal["density", "round", "any"]
"""What the places of a side are; "any" where one value holds at all of them."""


@dataclass(frozen=True)
class SideValues:
    """What a side measured on one model and data.

    Args:
        cells: by place: a density or a round, and None where the cell holds at all places. Empty if that was not
            measured, or not there.
        kind: what the places are.
        metric: how its numbers read.
    """

    cells: Mapping[float | None, Cell]
    kind: Kind
    metric: Metric


def expectation_of(stated: Mapping[str, Any], judged_by: str) -> Expectation:
    """An `[[expect]]` table, as it stands in provenance, as a typed value; `judged_by` where it states no metric."""
    better = ExpectationSide(
        str(stated["better"]),
        str(stated.get("metric") or judged_by),
        stated.get("density"),
        stated.get("round"),
        stated.get("position"),
    )
    published = stated.get("published") or {}
    return Expectation(
        source=str(stated.get("source", "no source")),
        claim=str(stated.get("claim", "")),
        better=better,
        worse=_worse(stated, better),
        published=(float(published["better"]), float(published["worse"]))
        if {"better", "worse"} <= published.keys()
        else None,
        judge=stated.get("judge") is not False,
        difference=_number(published.get("difference")),
        ratio=_number(published.get("ratio")),
        equal_within=_number(stated.get("equal_within")),
        equal_within_share=_number(stated.get("equal_within_share")),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _worse(stated: Mapping[str, Any], better: ExpectationSide) -> ExpectationSide | float:
    than = {name: value for name, value in (stated.get("than") or {}).items() if value is not None}
    if "value" in than:
        return float(than["value"])
    # another place is stated as a density or as a round, and takes the place of either
    elsewhere = {"density": None, "round": None} if {"density", "round"} & than.keys() else {}
    own = {name: getattr(better, name) for name in ("metric", "density", "round", "position")}
    return ExpectationSide(str(stated["worse"]), **{**own, **elsewhere, **than})


def measured(source: Source) -> list[str]:
    """The metrics that an expectation may be of, but for those made of others."""
    rows = (row for rows in source.rows.values() for row in rows)
    return sorted({row.name for row in rows if row.role in ("evaluate", "analyse") and row.metric})


def base_of(metric: str, judged_by: str) -> str:
    """The measured metric that another is made of; itself if it is made of none."""
    return judged_by if metric == SMALLEST else metric.removesuffix(f"/{SMALLEST}")


def read_side(side: ExpectationSide, source: Source, alpha: float) -> dict[ModelData, SideValues]:
    """What a side measured, by model and data.

    Raises: PrunebenchError if nothing has the metric, or its positions cannot be told apart.
    """
    if side.metric == SMALLEST or side.metric.endswith(f"/{SMALLEST}"):
        tried = source.tried(base_of(side.metric, source.judged_by))
        return {where: _smallest(side, own, source, alpha) for where, own in tried.items()}
    analysed = {
        where: [row for row in rows if row.role == "analyse" and row.metric] for where, rows in source.rows.items()
    }
    if any(row.name == side.metric for rows in analysed.values() for row in rows):
        ours = {where: [row for row in rows if row.entry == side.entry] for where, rows in analysed.items()}
        return {where: _analysed(side, rows, source) for where, rows in ours.items() if rows}
    if side.metric not in source.evaluated and source.any_ok:
        known = measured(source)
        raise PrunebenchError(f'metric "{side.metric}": nothing has it.{nearest(side.metric, known)}')
    return {where: _evaluated(side, tried) for where, tried in _tried(side, source).items()}


def _tried(side: ExpectationSide, source: Source) -> Mapping[ModelData, Tried]:
    """The cells of the metric without what this entry has in another round or at another position.

    A stated round is one of the entry's own tickets, wherever it lies on a cost axis.
    """
    if side.round is None and side.position in (None, "end"):
        return source.tried(side.metric)
    # what is dense has round 0 alone, and is compared with every other round
    own = [row for rows in source.rows.values() for row in rows if row.role == "evaluate" and row.entry == side.entry]
    always_dense = {row.round for row in own} == {0}
    position = "0it" if side.position == "start" else side.position

    def wanted(row: Row) -> bool:
        if row.role != "evaluate" or row.entry != side.entry:
            return True
        if side.round is not None and not always_dense and row.round != side.round:
            return False
        if row.name != side.metric or row.value is None or position in (None, "end"):
            return True
        return _same(row.position, str(position))

    return source.of_rows(side.metric, wanted, None if side.round is None else "density")


def _evaluated(side: ExpectationSide, tried: Tried) -> SideValues:
    if side.entry in tried.dense:
        return SideValues({None: tried.cells.at(side.entry, 1.0)}, "any", tried.metric)
    places = tried.cells.places
    if side.density is not None:
        place = place_of(places, float(side.density))
        chosen: Sequence[float] = () if place is None else (place,)
    else:
        # at density 1 nothing is pruned; a round that is asked for may be that one
        tried_at = [place for place in places if tried.cells.at(side.entry, place).trials]
        chosen = [place for place in tried_at if place < 1 or side.round is not None]
    return SideValues({place: tried.cells.at(side.entry, place) for place in chosen}, "density", tried.metric)


def _same(a: str, b: str) -> bool:
    try:
        return Position.parse(a) == Position.parse(b)
    except ValueError:
        return a == b


def _smallest(side: ExpectationSide, tried: Tried, source: Source, alpha: float) -> SideValues:
    """Each seed's smallest density that keeps its dense value; 1 if the first one tried fails already."""
    metric = Metric(side.metric, False, 100.0, 2, "%", "percentage points", 0.0, 1.0, "fraction")
    dense = next((name for name in tried.entries if name in tried.dense), None)
    if dense is None or side.entry in tried.dense or side.entry not in tried.entries:
        return SideValues({}, "any", metric)
    at = [(place, tried.cells.at(side.entry, place)) for place in tried.cells.places if place < 1]
    walk = [Step(place, cell.values, frozenset(cell.broken)) for place, cell in at if cell.trials]
    found = smallest(walk, tried.cells.at(dense, 1.0).values, tried.metric.higher, alpha).by_seed
    values = {seed: 1.0 if place is None else place for seed, place in found.items()}
    return SideValues({None: Cell(values)}, "any", metric)


def _analysed(side: ExpectationSide, rows: Sequence[Row], source: Source) -> SideValues:
    """An analysis's measurement by round; None stands for the whole trial."""
    ours = [row for row in rows if row.name == side.metric]
    unit = next((row.unit for row in ours if row.unit), "")
    # an analysis that broke has one row, of its own name and of no round
    component = side.metric.split("/")
    broken = {row.seed: row.outcome for row in rows if row.outcome != "ok" and row.metric in component}
    if side.round is not None:
        ours = [row for row in ours if row.round == side.round]
    if side.density is not None:
        place = place_of(sorted({row.density for row in ours if row.density is not None}), float(side.density))
        ours = [row for row in ours if row.density is not None and row.density == place]
    points: dict[tuple[int | None, int], dict[str, float]] = defaultdict(dict)
    for row in ours:
        if row.value is not None and row.outcome == "ok" and row.twin == 0:
            points[row.round, row.seed][row.position] = row.value
    cells: dict[float | None, dict[int, float]] = defaultdict(dict)
    for (round_, seed), values in sorted(points.items(), key=_in_order):
        chosen = _position(side, values)
        if chosen is not None:
            cells[round_][seed] = values[chosen]
    kind: Kind = "any" if set(cells) == {None} else "round"
    if not cells and broken:
        cells[None] = {}
    found = {
        place: Cell(values, {s: o for s, o in broken.items() if s not in values}) for place, values in cells.items()
    }
    return SideValues(found, kind, metric_of(side.metric, unit, source.metrics))


def _in_order(item: tuple[tuple[int | None, int], object]) -> tuple[bool, int, int]:
    (round_, seed), _ = item
    return round_ is not None, round_ or 0, seed


def _position(side: ExpectationSide, values: Mapping[str, float]) -> str | None:
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
