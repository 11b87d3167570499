"""Trials that are not ok: how many, and the means of those who count collapsed networks in."""

from __future__ import annotations

from collections import Counter

from prunebench.leaderboard.cells import Cell, Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.tables import NOTHING, corner, level, mean_and_half, order
from prunebench.stats.student import student_interval

_OUTCOMES = ("collapsed", "diverged", "failed")


def outcomes_tables(group: Group, metric: Metric, alpha: float) -> str:
    """Counts by outcome and, where a trial collapsed, the means with collapsed trials at the value they had."""
    broken = any(cell.broken for cell in group.cells.values()) or group.unplaced
    if not broken:
        return "None: every trial is ok, so means that count collapsed trials in would be the same."
    entries = [*group.references, *order(group, metric, alpha)]
    parts = [_counts(group, entries)]
    if any("collapsed" in cell.broken.values() for cell in group.cells.values()):
        parts += _inclusive(group, entries, metric, alpha)
    return "\n\n".join(parts)


def _counts(group: Group, entries: list[str]) -> str:
    lines = []
    for entry in entries:
        cells = [cell for (name, _), cell in group.cells.items() if name == entry]
        counts = Counter(outcome for cell in cells for outcome in cell.broken.values())
        counts.update(outcome for name, _, outcome in group.unplaced if name == entry)
        ok = sum(cell.n for cell in cells)
        numbers = [ok, *(counts[outcome] for outcome in _OUTCOMES)]
        lines.append([escape(entry), str(sum(numbers)), *map(str, numbers)])
    return "Seeds times densities that were tried, and what came of them:\n\n" + table(
        ["entry", "tried", "ok", *_OUTCOMES], lines, "lrrrrr"
    )


def _inclusive(group: Group, entries: list[str], metric: Metric, alpha: float) -> list[str]:
    lines = []
    for entry in entries:
        cells = [group.cells.get((entry, density), Cell()) for density in group.densities]
        lines.append([escape(entry), *(_value(cell, metric, alpha) for cell in cells)])
    caption = (
        f"{escape(metric.label)}, with collapsed trials (a layer without any unit left) at the value that they had, as "
        f"some papers report: mean ± {level(alpha)} Student interval over seeds. Diverged and failed trials have no "
        "value and stay out. Ranks do not use this table."
    )
    head = [corner(group), *(group.labels[density] for density in group.densities)]
    return [caption, table(head, lines, "l" + "r" * len(group.densities))]


def _value(cell: Cell, metric: Metric, alpha: float) -> str:
    if not cell.inclusive:
        return NOTHING
    text = mean_and_half(student_interval(cell.inclusive.values(), alpha), metric)
    counted = len(cell.inclusive) - cell.n
    return f"{text} (n={len(cell.inclusive)}, {counted} collapsed)" if counted else text
