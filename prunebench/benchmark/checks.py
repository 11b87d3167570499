"""What only several tables together show: what is missing, who refers to whom, what no run will measure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from prunebench.api.cost_share import AXIS_OF, COSTS
from prunebench.api.errors import nearest
from prunebench.api.hookspecs import SLOTS
from prunebench.api.positions import Position
from prunebench.api.task import EARLY_STOP, STOPPED_AT, all_metrics, primary
from prunebench.benchmark.entries import Entry, entry_refs
from prunebench.benchmark.expectations import SMALLEST, Expect
from prunebench.benchmark.tables import Measure, Report, TopTable


def incomplete(entry: Mapping[str, Any], unreadable: set[str]) -> Iterator[str]:
    """What an entry lacks, and what it has in vain. `unreadable` are keys of the file that are wrong, not missing."""
    prunes = "schedule" in entry and "tickets" not in entry
    ways = ("score", "select", *(("prune",) if "prune" in SLOTS else ()))
    if prunes and "prune" in entry:
        for key in entry.keys() & {"score", "select"}:
            yield f"{key}: `prune` scores and selects; leave one of the two out"
    elif prunes and not (_prunes_in_training(entry) and not entry.keys() & {"score", "select"}):
        needed = "a score and a select" + (", or a prune" if "prune" in SLOTS else "")
        for key in ("score", "select"):
            if key not in entry:
                yield f"{key}: missing; a schedule prunes, so it needs {needed}"
    if "schedule" not in entry and "tickets" not in entry:
        for key in ways:
            if key in entry:
                yield f"schedule: missing; without one the entry is dense and its {key} is idle"
        return
    if unreadable & {"cut", "rounds", "densities"}:
        return
    cut, rounds, densities = ("cut" in entry, "rounds" in entry, "densities" in entry)
    if not cut and rounds:
        yield "cut: missing; what share of the survivors does a round remove?"
    elif not cut and not densities:
        yield "cut: missing; state `cut` and `rounds`, or `densities` alone"
    elif cut and not rounds:
        yield f"rounds: missing; how many times is {entry['cut']} cut?"
    elif entry.get("rounds") == 0 and not densities:
        yield "rounds: after 0 rounds there is no ticket to judge"


def _prunes_in_training(entry: Mapping[str, Any]) -> bool:
    """Whether mask updates may do all the pruning; where the schedule prunes too, planning asks for a score."""
    return any(table.get("evaluate", {}).get("mask_updates") for table in (entry, *entry["model"]))


def unknown_references(entries: Mapping[str, Entry], known: Collection[str]) -> Iterator[str]:
    """Entries that refer to one that the file does not have."""
    for entry in entries.values():
        for key, name in entry.references():
            if name not in known:
                yield f'entry "{entry.name}": {key}: no entry "{name}".{nearest(name, known)}'


def wrong_report(top: TopTable, scored: Sequence[Entry]) -> Iterator[str]:
    """What the leaderboard would rank by and cannot."""
    report = top.report
    split, _, metric = report.metric.partition("/")
    if report.metric and split not in top.measure.splits:
        yield f'report.metric: "{report.metric}" is not measured; add "{split}" to measure.splits'
    lacking = next((entry for entry in scored if report.metric and metric not in all_metrics(entry.metrics)), None)
    if lacking is not None:
        known = nearest(metric, all_metrics(lacking.metrics))
        yield f'report.metric: entry "{lacking.name}", whose task is "{lacking.task.name}", has no "{metric}".{known}'
    for entry in scored:
        if entry.schedule is not None and entry.cost is not None and report.axis == "density":
            axis = AXIS_OF[entry.cost]
            yield (
                f'report.axis: entry "{entry.name}" is cut to shares of the {COSTS[entry.cost]}, so that its '
                "density of units is another one for each seed; compare at these shares: "
                f'axis = "{axis}", at = [0.5, 0.25]'
            )
            break
    units = {entry.units.name: entry for entry in scored if entry.schedule is not None}
    if len(units) > 1 and report.axis == "density":
        named = " and ".join(f'"{entry.name}" ({entry.units})' for entry in list(units.values())[:2])
        yield (
            f"report.axis: {named} prune different units, whose densities mean different things; compare them at "
            'equal cost: axis = "density_macs" (or "density_all"), at = [0.5, 0.25]'
        )
    for index, expect in enumerate(top.expect):
        yield from (f"expect[{index}]: {message}" for message in _off_the_axis(expect, report))


def _off_the_axis(expect: Expect, report: Report) -> Iterator[str]:
    of_analysis = expect.metric.partition("/")[0] not in ("train", "valid", "test") or expect.metric.count("/") > 1
    if report.axis == "density" or of_analysis:
        return
    if expect.round is not None or (expect.density is not None and expect.density not in report.at):
        yield (
            f"evaluations are compared on axis = {report.axis!r} here, at {list(report.at)}; state one of these as "
            "density, and no round"
        )


def unknown_names(top: TopTable, known: Collection[str]) -> Iterator[str]:
    """Entries that the file's own tables name and that it does not have."""
    named: list[tuple[str, str | None]] = [("report.against", top.report.against)]
    for use in top.report.also:
        named += [(f'report.also: component "{use.name}": {key}', name) for key, name in entry_refs(use.config)]
    for index, expect in enumerate(top.expect):
        named += [(f"expect[{index}].better", expect.better), (f"expect[{index}].worse", expect.worse)]
    for key, name in named:
        if name is not None and name not in known:
            yield f'{key}: no entry "{name}".{nearest(name, known)}'


def never_measured(top: TopTable, entries: Mapping[str, Entry]) -> Iterator[str]:
    """Expectations of what no run will measure, as far as their entries are right."""
    for index, expect in enumerate(top.expect):
        for key, name, metric, position in expect.sides():
            wrong = unmeasured(metric, position, entries[name], top.measure) if name in entries else ""
            if wrong:
                yield f"expect[{index}].{key}: {wrong}"


def unmeasured(metric: str, position: str | None, entry: Entry, measure: Measure) -> str:
    """Why an entry will have no such measurement; empty if it may have."""
    split, _, name = metric.partition("/")
    if metric == SMALLEST:
        split, name = "test", f"{primary(entry.metrics)}/{SMALLEST}"
    analyses = {use.name for use in entry.analyses}
    if split in analyses or name.partition("/")[0] in analyses:
        return ""
    if split not in ("train", "valid", "test"):
        known = f"; its analyses are {', '.join(sorted(analyses))}" if analyses else ""
        return f'"{metric}": entry "{entry.name}" does not analyse "{split}"{known}. Otherwise write SPLIT/METRIC'
    if split not in measure.splits:
        return f'"{metric}" is not measured; add "{split}" to measure.splits'
    name = name.removesuffix(f"/{SMALLEST}")
    if name.startswith(EARLY_STOP) and (measure.every is None or "valid" not in measure.splits):
        return f'"{metric}" is not measured; it needs measure.every, and "valid" in measure.splits'
    metrics = all_metrics(entry.metrics)
    if name not in metrics:
        analysed = f'; entry "{entry.name}" does not analyse "{name.partition("/")[0]}"' if "/" in name else ""
        return f'"{metric}": no such metric{analysed}.{nearest(name, metrics)}'
    if name == STOPPED_AT and split != "valid":
        return f'"{metric}": it is of the validation loss; write valid/{name}'
    if name.startswith(EARLY_STOP) and position is not None:
        return f'"{metric}" has no position to choose: its own is where training would have stopped'
    return _unplaced(position, measure)


def _unplaced(position: str | None, measure: Measure) -> str:
    """Why no row of the results is at a position."""
    if position in (None, "end"):
        return ""
    at = "0it" if position == "start" else position
    if Position.parse(at).unit != "it":
        return f'position "{at}": the results have iterations; write it in them, as in "500it"'
    # epochs and shares become iterations only in the plan
    if Position.parse(at) in measure.at or any(p.unit != "it" and p.amount > 0 for p in measure.at):
        return ""
    return f'position "{position}" is not a row of the results; add "{at}" to measure.at'
