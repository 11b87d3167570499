"""How far a number may move when it is computed again elsewhere: fixed with the results, before anyone does.

Bits are promised within one environment. Elsewhere sums round differently, and a training amplifies that to at most
another draw of the noise that seeds make. So the difference of two such draws bounds it: sqrt(2) times the standard
deviation over seeds, pooled over the leaderboard's cells, times the normal quantile that keeps the chance of any false
alarm among all compared values at 1 %. It is never below one image of the test set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prunebench.api.details import Detail, EvaluationDetail
from prunebench.api.provenance import Registered
from prunebench.api.results import final_rows
from prunebench.api.rows import Row

RULES = "rules.md"
FALSE_ALARMS = 0.01
"""The chance that one of all values leaves its tolerance though nothing is wrong."""

Cell = tuple[str, str, str, float]


@dataclass(frozen=True)
class Tolerance:
    """How far one value of the metric may move.

    Args:
        metric: "split/name".
        deviation: standard deviation over seeds, pooled over cells; None if no cell has two seeds.
        values: how many values the leaderboard has of the metric.
        floor: what one image of the test set is worth.
    """

    metric: str
    deviation: float | None
    values: int
    floor: float

    @property
    def allowed(self) -> float | None:
        """The largest difference that passes; None where seeds say nothing."""
        if self.deviation is None:
            return None
        quantile = _quantile(self.values)
        return max(self.floor, quantile * math.sqrt(2) * self.deviation)

    @property
    def registered(self) -> Registered:
        """For provenance.json."""
        return Registered(
            metric=self.metric,
            deviation=self.deviation,
            values=self.values,
            floor=self.floor,
            allowed=self.allowed,
        )


def _quantile(values: int) -> float:
    """The normal quantile that one of so many values exceeds, on either side, with the chance FALSE_ALARMS."""
    from scipy.special import ndtri

    # scipy.stats.norm.isf is this function, and half a second of imports.
    return -float(ndtri(FALSE_ALARMS / (2 * max(1, values))))


def tolerance_of(rows: Iterable[Row], details: Iterable[Detail], metric: str) -> Tolerance:
    """The tolerance that a leaderboard's own seeds imply for its metric."""
    cells: dict[Cell, list[float]] = {}
    judged = final_rows(rows, metric)
    for row in judged:
        if row.outcome == "ok" and row.value is not None and row.density is not None:
            cells.setdefault((row.entry, row.model, row.data, row.density), []).append(row.value)
    deviation = _pooled([values for values in cells.values() if len(values) > 1])
    images = max((len(bits) * 6 for detail in details if (bits := _correct(detail))), default=0)
    counted = bool(images) and any(row.unit == "fraction" for row in judged)
    return Tolerance(metric, deviation, len(judged), 1 / images if counted else 0.0)


def spread(rows: Iterable[Row], field: str) -> float:
    """How far a field that follows from a ticket's mask, such as `density_macs`, may move in another environment.

    As for the metric, two draws of the noise that seeds make bound it. 0 where no cell has two seeds.
    """
    tickets = {(row.trial, row.round, row.draw): row for row in rows if row.role == "evaluate"}
    cells: dict[tuple[str, str, str, int | None, int], list[float]] = {}
    for row in tickets.values():
        value = getattr(row, field)
        if value is not None:
            cells.setdefault((row.entry, row.model, row.data, row.round, row.draw), []).append(float(value))
    deviation = _pooled([values for values in cells.values() if len(values) > 1])
    quantile = _quantile(len(tickets))
    # Equal counts may be divided in another order.
    return max(1e-12, quantile * math.sqrt(2) * (deviation or 0.0))


def _correct(detail: Detail) -> str | None:
    return detail.correct if isinstance(detail, EvaluationDetail) else None


def _pooled(cells: Sequence[Sequence[float]]) -> float | None:
    if not cells:
        return None
    freedom = sum(len(values) - 1 for values in cells)
    squares = sum(sum((v - sum(values) / len(values)) ** 2 for v in values) for values in cells)
    return math.sqrt(squares / freedom)


def rules_text(tolerance: Tolerance, seeds: int, alpha: float) -> str:
    """`rules.md` of a leaderboard: how it is ranked and what a verification must find."""
    allowed = tolerance.allowed
    if allowed is None or tolerance.deviation is None:
        elsewhere = "One seed says nothing of the spread, so there is no tolerance: only equal bits confirm it."
    else:
        elsewhere = (
            f"Elsewhere, every value of {tolerance.metric} must lie within **{allowed:.4f}** of the recorded one, and "
            "every density must be the same. The tolerance is the standard deviation over seeds, pooled over all cells "
            f"({tolerance.deviation:.5f}), times the square root of two, times the normal quantile that holds the "
            f"chance of any false alarm among {tolerance.values} values at {FALSE_ALARMS:.0%}; never below one image."
        )
    return f"""# Rules of this leaderboard

- Entries are ranked by **{tolerance.metric}** at the end of training, averaged over draws within a seed and then over
  {seeds} seeds. Test data is read for that alone: nothing is selected by it, and no best epoch is taken.
- Intervals and tests are Student's, over seeds, at level {1 - alpha:.0%}, paired by seed and Holm-corrected. A group
  of entries that the tests do not tell apart shares a rank.
- Trials that diverge, collapse or fail are shown and counted, and never ranked as if they were well.

## What a verification must find

- `prunebench verify` first compares every file with `manifest.json`, then runs entries again in an empty store.
- In the recorded environment (torch, device, threads, instruction set) every number must be the same, bit for bit.
- {elsewhere}
"""
