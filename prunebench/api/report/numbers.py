"""Numbers of a board as they stand in tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isclose

from prunebench.api.board import Between, Cell, Gap, Group
from prunebench.api.estimates import Compared, Interval, Paired
from prunebench.api.metric import Metric
from prunebench.api.report.text import plain

NOTHING = "–"
"""What stands where there is no number."""

FEW = 3
"""Up to this many seeds their values are shown beside their mean and interval."""


def level(alpha: float) -> str:
    """The level of an interval, as in "95 %"."""
    return f"{100 * (1 - alpha):g} %"


def interval_text(interval: Interval, metric: Metric) -> str:
    """A mean with its interval, if it has one."""
    return metric.number(interval.mean) + around(interval.mean, interval.ends, metric.number)


def difference_text(pair: Paired, metric: Metric) -> str:
    """A signed difference with its interval, if it has one."""
    return metric.signed(pair.difference) + around(pair.difference, pair.ends, metric.number, metric.signed)


def around(
    middle: float,
    ends: tuple[float, float] | None,
    number: Callable[[float], str],
    end: Callable[[float], str] | None = None,
) -> str:
    """What stands behind a middle: " ± half", or " [low, high]" where the metric's range cuts one side off.

    Args:
        number: prints half of an interval; `end` prints an end of it, if that is printed otherwise.
    """
    if ends is None:
        return ""
    below, above = middle - ends[0], ends[1] - middle
    if isclose(below, above, rel_tol=1e-6, abs_tol=1e-12):
        return f" ± {number(above)}"
    low, high = ((end or number)(one) for one in ends)
    return f" [{low}, {high}]"


def p_text(p: float) -> str:
    """A p as it stands beside a number."""
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"


def p_note(text: str, p: float, alpha: float) -> str:
    """A text with a p after it, in Markdown: bold where p is below alpha."""
    noted = f"{text}, {p_text(p)}"
    return f"**{noted}**" if p < alpha else noted


def compared_text(compared: Compared, metric: Metric, alpha: float) -> str:
    """A difference of two entries with its n and its p, in Markdown."""
    text = f"{difference_text(compared.pair, metric)} (n={compared.pair.n})"
    return text if compared.p is None else p_note(text, compared.p, alpha)


def outcome_note(cell: Cell) -> str:
    """How many trials of a cell are not ok, and how: "1 of 3 collapsed"; empty if all are."""
    return ", ".join(f"{count} of {cell.trials} {outcome}" for outcome, count in cell.outcomes.items())


def draws_text(cell: Cell, metric: Metric) -> str:
    """How far the draws of a seed lie apart at most; empty where there is one of each."""
    return "" if cell.apart is None else f"draws up to {metric.number(cell.apart)} apart"


def cut_off_text(cell: Cell) -> str:
    """How many seeds would have stopped later, had training gone on; empty where all stopped."""
    return f"{cell.cut_off} of {cell.n} cut off at the horizon" if cell.cut_off else ""


def share_text(share: float) -> str:
    """A place of the axis, as in "54.2 %"."""
    return f"{100 * share:.3g} %"


def between_text(between: Between, metric: Metric) -> str:
    """The two tickets that a value lies between."""
    (above, below), (first, second) = between.places, between.values
    return f"between {metric.number(first)} at {share_text(above)} and {metric.number(second)} at {share_text(below)}"


def gap_texts(gaps: Mapping[int, Gap], metric: Metric) -> dict[str, list[int]]:
    """Why there is no value, with the seeds that it is so for: one text for seeds that differ only in their values."""
    alike: dict[tuple[object, ...], dict[int, Gap]] = {}
    for seed, gap in sorted(gaps.items()):
        alike.setdefault((gap.why, gap.note, tuple(map(share_text, gap.places))), {})[seed] = gap
    return {_gap_text(list(same.values()), metric): list(same) for same in alike.values()}


def _gap_text(gaps: Sequence[Gap], metric: Metric) -> str:
    """Why there is no value, of gaps between tickets at the same places."""
    places = " and ".join(map(share_text, gaps[0].places))
    match gaps[0].why:
        case "no ticket":
            return "no ticket of it was judged"
        case "beyond":
            return f"it has tickets on one side only, the nearest at {places}"
        case "far":
            return f"its nearest tickets, at {places}, are too far apart"
        case "inapplicable":
            return f"it does not apply to this network: {gaps[0].note}"
    values = " and ".join(_range_text(ends, metric) for ends in zip(*(gap.values for gap in gaps), strict=True))
    return f"its nearest tickets, at {places}, have {values}, which are too far apart"


def _range_text(values: Iterable[float | None], metric: Metric) -> str:
    """The least and the greatest of some values: one number where they print alike."""
    known = sorted(value for value in values if value is not None)
    return " to ".join(dict.fromkeys(metric.number(value) for value in (known[0], known[-1]))) if known else "?"


def seeds_text(cell: Cell, metric: Metric) -> str:
    """The value of each seed, in the order of the seeds."""
    return ", ".join(metric.number(value) for _, value in sorted(cell.values.items()))


def value_text(cell: Cell, metric: Metric, full: int, neighbours: bool = True) -> str:
    """A cell of the results: mean, interval, and what is special about its n; ≈ before what lies between tickets.

    Args:
        full: the trials of a cell that needs no remark.
        neighbours: whether the two tickets of an interpolated value stand behind it.
    """
    if not cell.trials:
        return NOTHING
    notes = [outcome_note(cell)] if cell.broken else []
    if cell.interval is None:
        return f"({notes[0]})"
    if cell.neighbours is not None and neighbours:
        notes.insert(0, between_text(cell.neighbours, metric))
    if cell.n == 1 or cell.trials != full:
        notes.insert(0, f"n={cell.n}")
    if cell.apart is not None:
        notes.append(draws_text(cell, metric))
    if cell.cut_off:
        notes.append(cut_off_text(cell))
    text = ("≈" if cell.between else "") + interval_text(cell.interval, metric)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _seeds(seeds: Sequence[int]) -> str:
    """Some seeds in words: "seed 0", "seeds 0, 1 and 2"."""
    *first, last = map(str, seeds)
    return f"seeds {', '.join(first)} and {last}" if first else f"seed {last}"


def nowhere_text(group: Group) -> str:
    """The trials without a value for which there is no column either; empty without any."""
    lost = ", ".join(f"{plain(entry)} with seed {seed} ({outcome})" for entry, seed, outcome in group.unplaced)
    return f"No value, and no density to show that at: {lost}." if lost else ""


def gap_lines(group: Group) -> list[str]:
    """What was asked for and has no value, a line for each entry and reason."""
    lines: dict[tuple[str, str], list[str]] = {}
    for entry in group.shown:
        for place, cell in entry.cells.items():
            reasons = gap_texts(cell.missing, group.metric)
            for reason, seeds in reasons.items():
                every = len(reasons) == 1 and not cell.trials
                text = reason if every else f"with {_seeds(seeds)} {reason}"
                places = lines.setdefault((entry.name, text), [])
                if group.labels[place] not in places:
                    places.append(group.labels[place])
    return [f"{plain(name)} at {', '.join(places)}: {reason}" for (name, reason), places in lines.items()]
