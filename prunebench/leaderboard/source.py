"""The cells of every model and data, for any metric: what boards and expectations are computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prunebench.api.board import AXES, AxisName
from prunebench.api.errors import PrunebenchError, nearest
from prunebench.api.metric import Metric, metric_of
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.leaderboard.axis import at_own_density, on_cost_axis
from prunebench.leaderboard.cells import Cells, cells_of
from prunebench.leaderboard.tickets import inapplicable, lost_runs, tickets_of

ModelData: TypeAlias = tuple[str, str]
"""(model, data)."""


@dataclass(frozen=True)
class Tried:
    """What was tried on one model and data: the cells of one metric.

    Args:
        entries: in the order of the file. `dense`: those that are references.
    """

    metric: Metric
    entries: tuple[str, ...]
    dense: frozenset[str]
    cells: Cells


class Source:
    """The rows of results by model and data, and their cells by metric, each made once."""

    def __init__(self, results: Results) -> None:
        report = results.provenance.report
        self.axis = axis_of(report.axis)
        self.judged_by = results.provenance.judged_by
        self.at, self.metrics, self.order = report.at, results.provenance.metrics, results.provenance.entries
        by_where: dict[ModelData, list[Row]] = defaultdict(list)
        for row in results.rows:
            by_where[row.model, row.data].append(row)
        self.rows: Mapping[ModelData, Sequence[Row]] = {where: by_where[where] for where in sorted(by_where)}
        self.evaluated = tuple(sorted({row.name for row in results.rows if row.role == "evaluate" and row.metric}))
        self.inapplicable = {where: inapplicable(rows) for where, rows in self.rows.items()}
        """By model and data, the entries whose methods do not apply to the network: by seed, why."""
        self.any_ok = any(row.outcome == "ok" for row in results.rows)
        self._made: dict[str, Mapping[ModelData, Tried]] = {}

    def tried(self, metric: str) -> Mapping[ModelData, Tried]:
        """The cells of a metric, by model and data.

        Raises: PrunebenchError if no evaluation has the metric although some trial is ok, or if two rows contradict
            each other.
        """
        if metric not in self._made:
            self._made[metric] = self.of_rows(metric, lambda row: True)
        return self._made[metric]

    def of_rows(
        self, metric: str, wanted: Callable[[Row], bool], axis: AxisName | None = None
    ) -> Mapping[ModelData, Tried]:
        """The same of some rows only, and on another axis where one is given."""
        if not self.rows:
            raise PrunebenchError("no results: there is nothing to rank")
        if metric not in self.evaluated and self.any_ok:
            raise PrunebenchError(f'metric "{metric}": no evaluation has it.{nearest(metric, self.evaluated)}')
        return {
            where: self._tried(where, [row for row in rows if wanted(row)], metric, axis or self.axis)
            for where, rows in self.rows.items()
        }

    def _tried(self, where: ModelData, rows: Sequence[Row], metric: str, axis: AxisName) -> Tried:
        every = rows
        rows = [row for row in rows if row.role != "analyse" and row.twin == 0]
        present = {row.entry for row in rows}
        names = tuple(dict.fromkeys([name for name in self.order if name in present] + sorted(present)))
        by_entry: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_entry[row.entry].append(row)
        dense = frozenset(name for name in names if _is_dense(by_entry[name]))
        tickets, lost = tickets_of(every, metric), lost_runs(rows)  # what an analysis timed is an axis
        unit = next((row.unit for row in rows if row.role == "evaluate" and row.name == metric and row.unit), "")
        reading = metric_of(metric, unit, self.metrics)
        if axis == "density":
            points = at_own_density(tickets)
        else:
            points = on_cost_axis(tickets, lost, axis, self.at, dense, reading)
        apart = {name: why for name, why in self.inapplicable[where].items() if name in present}
        return Tried(reading, names, dense, cells_of(points, lost, dense, apart))


def axis_of(name: str) -> AxisName:
    """An axis by its name. Raises PrunebenchError for one that is not known."""
    match name:
        case "density" | "density_all" | "density_macs" | "latency":
            return name
    raise PrunebenchError(f'report.axis: "{name}" is no axis.{nearest(name, AXES)}')


def _is_dense(rows: Sequence[Row]) -> bool:
    """Evaluated, only at round 0, and not because finding a ticket broke there."""
    evaluated = any(row.role == "evaluate" for row in rows)
    broken = any(row.role == "find" and row.outcome != "ok" for row in rows)
    return evaluated and not broken and all(row.round == 0 for row in rows)
