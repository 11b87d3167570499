"""What the page opens with, and its groups of entries by places: a board as JSON, in printed units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prunebench.api.board import AXES, Between, Board, Cell, Entry, Group, Judgement
from prunebench.api.estimates import Interval
from prunebench.api.metric import Metric
from prunebench.api.provenance import Provenance
from prunebench.api.report import (
    FEW,
    NOTHING,
    around,
    between_text,
    cut_off_text,
    draws_text,
    gap_texts,
    level,
    nowhere_text,
    plain,
    printed,
    rule,
    seeds_text,
)
from prunebench.api.report.curves import aside, axis_range, banded, panels
from prunebench.leaderboard.facts import (
    command,
    duration,
    environment_facts,
    hardware_facts,
    notes_of,
    title_of,
    which_seeds,
)
from prunebench.leaderboard.judgements import ours_text, published_text, sides_text, verdict_text, where_text
from prunebench.leaderboard.tiers import claim


def overview(board: Board) -> dict[str, Any]:
    """Claim, origin, reductions, expectations and groups: everything of the page but its trials."""
    return {
        "name": title_of(board),
        "claim": plain(board.claim),
        "verdict": plain(verdict_text(board.expectations)),
        "metric": plain(board.metric),
        "level": level(board.alpha),
        "facts": _facts(board.provenance),
        "notes": notes_of(board),
        "expectations": [_expectation(judgement) for judgement in board.expectations],
        "styles": _styles(board.groups),
        "groups": [_group(group, board.alpha) for group in board.groups],
        "made": _made(board.provenance),
    }


def _facts(provenance: Provenance) -> list[list[str]]:
    """What a sceptic asks before the first number: label and answer."""
    runs = provenance.runs
    computed = f"{runs.distinct:,} distinct of {runs.naive:,} asked for"
    return [
        ["n", which_seeds(provenance)],
        ["Hardware", ", ".join(hardware_facts(provenance))],
        ["Wall time", duration(provenance.wall_seconds)],
        [
            "Training runs",
            f"{computed}; {runs.cached:,} of them were in the store already" if runs.cached else computed,
        ],
        ["Finished", plain(provenance.finished[:10])],
        ["Tier", _tier(provenance)],
    ]


def _tier(provenance: Provenance) -> str:
    record = provenance.verification
    return "self-reported" + ("" if record is None else f"; {plain(claim(provenance, record))}")


def _expectation(judgement: Judgement) -> dict[str, Any]:
    expectation = judgement.expectation
    return {
        "verdict": judgement.verdict,
        "why": judgement.why,
        "claim": plain(expectation.claim),
        "source": plain(expectation.source),
        "compared": plain(sides_text(judgement)),
        "published": published_text(judgement),
        "where": plain(where_text(judgement)),
        "ours": plain(ours_text(judgement)),
    }


def _styles(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """One look an entry in all charts, as in curves.svg: 1 for a dense reference, and its place among its kind."""
    dense = list(dict.fromkeys(entry for group in groups for entry in group.references))
    ranked = list(dict.fromkeys(entry for group in groups for entry in group.ranked if entry not in dense))
    return {entry: [kind, place] for kind, names in ((1, dense), (0, ranked)) for place, entry in enumerate(names)}


def _group(group: Group, alpha: float) -> dict[str, Any]:
    metric = group.metric
    intervals = [shown for cell in group.cells if (shown := printed(cell.interval, metric)) is not None]
    return {
        "model": plain(group.model),
        "data": plain(group.data),
        "metric": plain(metric.label),
        "title": plain(metric.title),
        "higher": metric.higher,
        "densities": list(group.places),
        "axis": AXES[group.axis],
        "labels": list(group.labels.values()),
        "panels": [list(names) for names in panels(group)],
        "banded": banded(group),
        "range": list(axis_range(intervals, metric.higher)) if intervals else None,
        "full": _full(intervals) if intervals else None,
        "rule": plain(rule(group, alpha)),
        "lost": nowhere_text(group),
        "entries": [_entry(entry, group) for entry in group.shown],
    }


def _entry(entry: Entry, group: Group) -> dict[str, Any]:
    cells = [_cell(entry.cells.get(place, Cell()), group.metric) for place in group.places]
    counts = [cell["n"] for cell in cells if cell is not None]
    return {
        "id": entry.name,
        "name": plain(entry.name),
        "dense": entry.dense,
        "rank": entry.rank,
        "n": [min(counts, default=0), max(counts, default=0)],
        "aside": aside(group, entry.name),
        "cells": cells,
        "gaps": [_gap(entry.cells.get(place), group.metric) for place in group.places],
    }


def _cell(cell: Cell, metric: Metric) -> dict[str, Any] | None:
    """A mean with its interval in printed units, n and the outcomes that are not ok; None if nothing was tried."""
    if not cell.trials:
        return None
    shown: dict[str, Any] = {"n": cell.n, "trials": cell.trials, "outcomes": cell.outcomes, "mean": None}
    interval = printed(cell.interval, metric)
    if cell.interval is None or interval is None:
        return shown
    return shown | {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "text": ("≈" if cell.between else "") + metric.number(cell.interval.mean),
        "spread": around(cell.interval.mean, cell.interval.ends, metric.number),
        "seeds": seeds_text(cell, metric) if 1 < cell.n <= FEW else None,
        "between": None if cell.neighbours is None else between_text(cell.neighbours, metric),
        "draws": draws_text(cell, metric),
        "late": cut_off_text(cell),
        "chord": None if cell.neighbours is None else _chord(cell.neighbours, metric),
    }


def _chord(between: Between, metric: Metric) -> list[list[float]]:
    """The two tickets of an interpolated value: places, and values in printed units."""
    return [list(between.places), [metric.factor * value for value in between.values]]


def _gap(cell: Cell | None, metric: Metric) -> str | None:
    """Why a place that was asked for has no value."""
    if cell is None or not cell.missing:
        return None
    return "; ".join(gap_texts(cell.missing, metric))


def _full(intervals: Sequence[Interval]) -> list[float]:
    """The values that an axis must show so that nothing is beyond it."""
    low = min(i.mean if i.low is None else i.low for i in intervals)
    high = max(i.mean if i.high is None else i.high for i in intervals)
    margin = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
    return [low - margin, high + margin]


def _made(provenance: Provenance) -> dict[str, Any]:
    """Command, versions and environment."""
    return {
        "command": command(provenance),
        "prunebench": plain(provenance.prunebench),
        "environment": [[plain(name), plain(value)] for name, value in environment_facts(provenance)],
        "components": [
            [plain(name), str(about.version), plain(about.distribution), plain(about.paper or NOTHING)]
            for name, about in sorted(provenance.components.items())
        ],
    }
