"""The maxima of a grid as a page and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import groupby
from statistics import mean
from typing import TYPE_CHECKING

from prunebench.api.board import AXES, Board
from prunebench.api.report import NOTHING, difference_text, escape, interval_text, level, p_note, table
from prunebench.stats.best import Pick, values_of

if TYPE_CHECKING:
    from prunebench_plugins.reports.grid_maxima import GridMaximaConfig, Maxima

HEAD = (
    "density",
    "best coupled",
    "best decoupled",
    "difference",
    "naive difference",
    "coupled picks",
    "decoupled picks",
)


def page(found: Sequence[Maxima], config: GridMaximaConfig, board: Board) -> str:
    """The whole page: the rule, a table for each model and data, and what is missing."""
    alpha, entries = board.alpha, board.provenance.entries
    parts = [f"# Best coupled against best decoupled: {escape(config.entries)}", _rule(config, alpha)]
    if board.axis != "density":
        parts.append(f"The densities below are each a {AXES[board.axis]}, as on the leaderboard.")
    for (model, data), own in groupby(found, key=lambda one: (one.group.model, one.group.data)):
        here = list(own)
        parts += [
            f"## {escape(model)} on {escape(data)}",
            table(HEAD, [_line(one, config, alpha) for one in here], "lrrrrll"),
        ]
        parts += _not_ok(here, config)
    absent = [entry for entry in config.cells.values() if entry not in entries]
    if len(absent) == len(config.cells):
        parts.append("None of the grid's entries was scored: there is nothing to compare.")
    elif absent:
        parts.append(f"Not scored, and so no candidates: {', '.join(map(escape, absent))}.")
    if found:
        parts += [
            f"![best coupled and best decoupled over density]({config.name}.svg)",
            f"Left: {escape(config.metric)} of the picks, with intervals; thin and dashed, the naive maxima. Right: "
            "decoupled minus coupled.",
            f"![all cells of the grid, by density]({config.name}-cells.svg)",
            f"The mean of {escape(config.metric)} of each cell, over trials that are ok, by the value that found the "
            "ticket (rows) and the one that judged it (columns), each density with colours of its own. Coupled cells "
            f"have a frame, and a star marks the cell that all seeds together choose by {escape(config.choose_by)}.",
        ]
    return "\n\n".join(parts) + "\n"


def _rule(config: GridMaximaConfig, alpha: float) -> str:
    count = len(config.values)
    off = count * (count - 1) if config.decoupled == "off-diagonal" else count * count
    what = "different values" if config.decoupled == "off-diagonal" else "any values"
    return (
        f"Coupled: found and judged with one value ({count} cells). Decoupled: found and judged with {what} ({off} "
        "cells). The greatest of several means is too high on average, and the more so the more there are: so each "
        f"seed is judged, by {escape(config.metric)}, in the cell that the mean of {escape(config.choose_by)} over the "
        "other seeds chooses. A cell with a trial that is not ok in those is no candidate. Means and differences are "
        f"of these picks, paired by seed, with {level(alpha)} intervals that are wider than Student's by "
        "sqrt(1 + n / (n - 1)), for each seed helps to choose for the others; p is Holm-corrected over the densities, "
        f"and **bold** below {alpha:g}. The naive difference takes for each set the cell of the best mean on the very "
        "values that judge it, as published comparisons do."
    )


def _line(one: Maxima, config: GridMaximaConfig, alpha: float) -> list[str]:
    shown = [one.group.labels[one.place]]
    for name in ("coupled", "decoupled"):
        interval = one.levels[name]
        shown.append(NOTHING if interval is None else interval_text(interval, one.metric))
    pair = one.pair
    if pair is None:
        shown.append("one seed: none to choose by" if _seeds(one) == 1 else "no common seed")
    else:
        text = difference_text(pair, one.metric)
        text = text if one.p is None else p_note(text, one.p, alpha)
        shown.append(f"{text} (n={pair.n})" if pair.n < _seeds(one) else text)
    shown.append(NOTHING if one.plain is None else one.metric.signed(one.plain.difference))
    return [*shown, *(_picked(one.picks[name], config) for name in ("coupled", "decoupled"))]


def _seeds(one: Maxima) -> int:
    cells = [entry.cells.get(one.place) for entry in one.group.entries.values()]
    return len({seed for cell in cells if cell is not None for seed in (*cell.values, *cell.broken)})


def _picked(picks: Mapping[int, Pick], config: GridMaximaConfig) -> str:
    """The cells that were chosen, and by how many seeds where they differ."""
    names = {entry: _cell(pair) for pair, entry in config.cells.items()}
    counts = Counter(names[pick.candidate] for pick in picks.values())
    lost = sum(pick.value is None for pick in picks.values())
    named = [name if len(counts) == 1 else f"{name} ({count})" for name, count in counts.most_common()]
    return ", ".join(named + ([f"{lost} not ok where picked"] if lost else [])) or NOTHING


def _cell(pair: tuple[str, str]) -> str:
    find, evaluate = map(escape, pair)
    return find if find == evaluate else f"{find} → {evaluate}"


def _not_ok(here: Sequence[Maxima], config: GridMaximaConfig) -> list[str]:
    lost = [
        f"{_cell(pair)} at {one.group.labels[one.place]}: {count}"
        for one in here
        for pair, cell in one.cells.items()
        if (count := len(cell.broken))
    ]
    return [f"Trials that are not ok: {', '.join(lost)}."] if lost else []


def csv_text(found: Sequence[Maxima]) -> str:
    """One record for each model, data and density; empty where there is no number."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sets = [f"{name}{end}" for name in ("coupled", "decoupled") for end in ("", "_low", "_high")]
    naive = ["naive_coupled", "naive_decoupled", "naive_difference"]
    writer.writerow(["model", "data", "density", *sets, "difference", "low", "high", "p_holm", "n", *naive])
    for one in found:
        numbers = ["" if number is None else repr(number) for number in _numbers(one)]
        writer.writerow([one.group.model, one.group.data, repr(one.place), *numbers])
    return text.getvalue()


def _numbers(one: Maxima) -> Iterator[float | None]:
    for name in ("coupled", "decoupled"):
        interval = one.levels[name]
        yield from (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)
    pair = one.pair
    yield from (None, None, None, None, 0) if pair is None else (pair.difference, pair.low, pair.high, one.p, pair.n)
    for name in ("coupled", "decoupled"):
        values = values_of(one.naive[name])
        yield mean(values.values()) if values else None
    yield None if one.plain is None else one.plain.difference
