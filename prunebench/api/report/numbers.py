"""Numbers of a board as they stand in tables."""

from __future__ import annotations

from prunebench.api.board import Cell
from prunebench.api.estimates import Compared, Interval, Paired
from prunebench.api.metric import Metric

NOTHING = "–"
"""What stands where there is no number."""


def level(alpha: float) -> str:
    """The level of an interval, as in "95 %"."""
    return f"{100 * (1 - alpha):g} %"


def mean_and_half(interval: Interval, metric: Metric) -> str:
    """A mean with half its interval, if it has one."""
    text = metric.number(interval.mean)
    return text if interval.high is None else f"{text} ± {metric.number(interval.high - interval.mean)}"


def difference_and_half(pair: Paired, metric: Metric) -> str:
    """A signed difference with half its interval, if it has one."""
    text = metric.signed(pair.difference)
    return text if pair.high is None else f"{text} ± {metric.number(pair.high - pair.difference)}"


def p_text(p: float) -> str:
    """A p as it stands beside a number."""
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"


def p_note(text: str, p: float, alpha: float) -> str:
    """A text with a p after it, in Markdown: bold where p is below alpha."""
    noted = f"{text}, {p_text(p)}"
    return f"**{noted}**" if p < alpha else noted


def compared_text(compared: Compared, metric: Metric, alpha: float) -> str:
    """A difference of two entries with its n and its p, in Markdown."""
    text = f"{difference_and_half(compared.pair, metric)} (n={compared.pair.n})"
    return text if compared.p is None else p_note(text, compared.p, alpha)


def outcome_note(cell: Cell) -> str:
    """How many trials of a cell are not ok, and how: "1 of 3 collapsed"; empty if all are."""
    return ", ".join(f"{count} of {cell.trials} {outcome}" for outcome, count in cell.outcomes.items())


def value_text(cell: Cell, metric: Metric, full: int) -> str:
    """A cell of the results: mean, half the interval, and what is special about its n.

    Args:
        full: the trials of a cell that needs no remark.
    """
    if not cell.trials:
        return NOTHING
    notes = [outcome_note(cell)] if cell.broken else []
    if cell.interval is None:
        return f"({notes[0]})"
    if cell.n == 1 or cell.trials != full:
        notes.insert(0, f"n={cell.n}")
    text = mean_and_half(cell.interval, metric)
    return f"{text} ({'; '.join(notes)})" if notes else text
