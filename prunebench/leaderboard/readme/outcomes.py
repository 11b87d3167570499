"""Trials that are not ok: how many, and the means of those who count collapsed networks in."""

from __future__ import annotations

from prunebench.api.board import Board, Cell, Group
from prunebench.api.metric import Metric
from prunebench.api.report import NOTHING, corner, escape, interval_text, level, table


def outcomes_tables(group: Group, board: Board) -> str:
    """Counts by outcome and, where a trial collapsed, the means with collapsed trials at the value they had."""
    if not group.unplaced and not any(cell.broken for cell in group.cells):
        return "None: every trial is ok, so means that count collapsed trials in would be the same."
    parts = [_counts(group)]
    if any("collapsed" in cell.outcomes for cell in group.cells):
        parts += _inclusive(group, board.alpha)
    return "\n\n".join(parts)


def _counts(group: Group) -> str:
    lines = [
        [escape(entry.name), str(entry.tried), *(str(count) for count in entry.outcomes.values())]
        for entry in group.shown
    ]
    head = ["entry", "tried", *next(iter(group.entries.values())).outcomes]
    return "Seeds times densities that were tried, and what came of them:\n\n" + table(head, lines, "lrrrrr")


def _inclusive(group: Group, alpha: float) -> list[str]:
    lines = [
        [escape(entry.name), *(_value(entry.cells.get(place), group.metric) for place in group.places)]
        for entry in group.shown
    ]
    caption = (
        f"{escape(group.metric.label)}, with collapsed trials (the same output for every example) at the value that "
        f"they had, as some papers report: mean ± {level(alpha)} Student interval over seeds. Diverged and failed "
        "trials have no value and stay out. Ranks do not use this table."
    )
    head = [corner(group), *group.labels.values()]
    return [caption, table(head, lines, "l" + "r" * len(group.columns))]


def _value(cell: Cell | None, metric: Metric) -> str:
    if cell is None or cell.inclusive_interval is None:
        return NOTHING
    text = interval_text(cell.inclusive_interval, metric)
    counted = len(cell.inclusive) - cell.n
    return f"{text} (n={len(cell.inclusive)}, {counted} collapsed)" if counted else text
