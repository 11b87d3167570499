"""What the page opens with, and its groups of entries by densities: aggregated, in printed units."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.leaderboard.axis import placed
from prunebench.leaderboard.cells import Cell, Group, group_rows
from prunebench.leaderboard.curves import axis_range
from prunebench.leaderboard.expectations import Judgement, judged
from prunebench.leaderboard.markdown import plain
from prunebench.leaderboard.metrics import Metric, metric_of
from prunebench.leaderboard.origin import duration
from prunebench.leaderboard.ranking import ranking, rule
from prunebench.leaderboard.untyped import Results
from prunebench.stats.student import Interval, student_interval


def overview(results: Results) -> dict[str, Any]:
    """Claim, origin, reductions, expectations and groups: everything of the page but its trials."""
    results = placed(results)
    provenance = results.provenance
    told = provenance["report"]
    groups = group_rows(results.rows, told["metric"], provenance["entries"])
    return {
        "name": plain(told["name"]),
        "claim": plain(told["claim"]),
        "metric": plain(told["metric"]),
        "level": f"{100 * (1 - told['alpha']):g} %",
        "facts": _facts(provenance),
        "notes": _notes(provenance, told["notes"]),
        "expectations": [_expectation(judgement) for judgement in judged(results)],
        "styles": _styles(groups),
        "groups": [_group(group, metric_of(told["metric"], group.unit), told["alpha"]) for group in groups],
        "made": _made(provenance),
    }


def _facts(provenance: Mapping[str, Any]) -> list[list[str]]:
    """What a sceptic asks before the first number: label and answer."""
    seeds, hardware, runs = provenance["seeds"], provenance["hardware"], provenance["runs"]
    memory = hardware.get("memory_gib")
    parts = [
        plain(hardware.get("cpu") or "unknown processor"),
        f"{hardware.get('cores', '?')} cores",
        f"{'?' if memory is None else format(memory, '.3g')} GiB",
        f"trained on {plain(hardware.get('gpu') or hardware.get('device') or 'an unknown device')}",
    ]
    cached = runs.get("cached", 0)
    computed = f"{runs['distinct']:,} distinct of {runs['naive']:,} asked for"
    return [
        ["n", f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(str(seed) for seed in seeds)})"],
        ["Hardware", ", ".join(parts)],
        ["Wall time", duration(float(provenance["wall_seconds"]))],
        ["Training runs", f"{computed}; {cached:,} of them were in the store already" if cached else computed],
        ["Finished", plain(str(provenance["finished"])[:10])],
        ["Tier", _tier(provenance.get("verification"))],
    ]


def _tier(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "self-reported"
    held = "bit for bit" if record["bit_equal"] else "within the tolerance"
    claimed = f"{record['numbers']:,} numbers held {held} in a second run on {record['when']}"
    return plain(f"self-reported; verification.json claims that {claimed}")


def _notes(provenance: Mapping[str, Any], notes: Sequence[str]) -> list[str]:
    """What was reduced or is special; the profile is among it even where no note says so."""
    profile = provenance.get("profile")
    said = [plain(note) for note in notes]
    if profile is not None and not any(f'"{profile}"' in note for note in notes):
        said.insert(0, f'Profile "{plain(profile)}": never ranked with full results.')
    return said


def _expectation(judgement: Judgement) -> dict[str, Any]:
    expectation, metric = judgement.expectation, judgement.metric
    stated = ""
    if judgement.published is not None:
        high, low = judgement.published
        stated = f"{metric.number(high)} against {metric.number(low)}, difference {metric.signed(high - low)}"
    return {
        "verdict": judgement.verdict,
        "why": judgement.why,
        "claim": plain(expectation.get("claim", "")),
        "source": plain(expectation.get("source", "no source")),
        "compared": plain(judgement.compared),
        "published": stated,
        "where": plain(judgement.where),
        "ours": plain(judgement.ours),
    }


def _styles(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """One look an entry in all charts, as in curves.svg: 1 for a dense reference, and its place among its kind."""
    dense = list(dict.fromkeys(entry for group in groups for entry in group.references))
    ranked = list(dict.fromkeys(entry for group in groups for entry in group.ranked if entry not in dense))
    return {entry: [kind, place] for kind, names in ((1, dense), (0, ranked)) for place, entry in enumerate(names)}


def _group(group: Group, metric: Metric, alpha: float) -> dict[str, Any]:
    places = {place.entry: (order, place.rank) for order, place in enumerate(ranking(group, metric, alpha))}
    entries: list[dict[str, Any]] = []
    for entry in sorted(group.entries, key=lambda name: (name not in group.dense, places.get(name, (-1, None))[0])):
        cells = [_cell(group.cells.get((entry, d), Cell()), metric, alpha) for d in group.densities]
        counts = [cell["n"] for cell in cells if cell is not None]
        entries.append(
            {
                "id": entry,
                "name": plain(entry),
                "dense": entry in group.dense,
                "rank": places[entry][1] if entry in places else None,
                "n": [min(counts, default=0), max(counts, default=0)],
                "cells": cells,
            }
        )
    intervals = [
        Interval(cell["mean"], cell["low"], cell["high"], cell["n"])
        for entry in entries
        for cell in entry["cells"]
        if cell is not None and cell["mean"] is not None
    ]
    lost = [f"{plain(entry)} with seed {seed} ({outcome})" for entry, seed, outcome in group.unplaced]
    return {
        "model": plain(group.model),
        "data": plain(group.data),
        "metric": plain(metric.label),
        "higher": metric.higher,
        "densities": list(group.densities),
        "axis": group.axis,
        "labels": [group.labels[density] for density in group.densities],
        "range": list(axis_range(intervals, metric.higher)) if intervals else None,
        "full": _full(intervals) if intervals else None,
        "rule": plain(rule(group, metric, alpha)),
        "lost": f"Broke with nothing evaluated at any density: {', '.join(lost)}." if lost else "",
        "entries": entries,
    }


def _cell(cell: Cell, metric: Metric, alpha: float) -> dict[str, Any] | None:
    """A mean with its interval in printed units, n and the outcomes that are not ok; None if nothing was tried."""
    if not cell.trials:
        return None
    outcomes = dict(sorted(Counter(cell.broken.values()).items()))
    shown: dict[str, Any] = {"n": cell.n, "trials": cell.trials, "outcomes": outcomes, "mean": None}
    if not cell.values:
        return shown
    interval = student_interval([metric.factor * value for value in cell.values.values()], alpha)
    half = None if interval.high is None else f"{interval.high - interval.mean:.{metric.decimals}f}"
    text = f"{interval.mean:.{metric.decimals}f}"
    return shown | {"mean": interval.mean, "low": interval.low, "high": interval.high, "text": text, "half": half}


def _full(intervals: Sequence[Interval]) -> list[float]:
    """The values that an axis must show so that nothing is beyond it."""
    low = min(i.mean if i.low is None else i.low for i in intervals)
    high = max(i.mean if i.high is None else i.high for i in intervals)
    margin = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
    return [low - margin, high + margin]


def _made(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Command, versions and environment."""
    words = ["prunebench", "run", plain(provenance["file"])]
    if provenance.get("profile") is not None:
        words += ["--profile", plain(provenance["profile"])]
    for setting in provenance.get("settings", ()):
        words += ["--set", plain(setting)]
    return {
        "command": shlex.join(words),
        "prunebench": plain(provenance["prunebench"]),
        "environment": [[plain(name), plain(value)] for name, value in sorted(provenance["environment"].items())],
        "components": [
            [plain(name), str(about["version"]), plain(about["distribution"]), plain(about.get("paper") or "–")]
            for name, about in sorted(provenance["components"].items())
        ],
    }
