"""Whether counts of runs, their day and their time can be; and whether the origins of merged results make them up."""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection, Iterator
from dataclasses import replace

from prunebench.api.provenance import Origin, Provenance, RunCounts
from prunebench.api.results import Results
from prunebench.engine.missing import samples
from prunebench.plan.demand import demanded
from prunebench.plan.trial import Plan
from prunebench.results.provenance import PROVENANCE
from prunebench.verification.audit.wording import listed, value_text

LONGEST = 20 * 365 * 86_400
"""Seconds that no run has taken, nor runs that were laid together."""


def other_counts(results: Results, plan: Plan) -> Iterator[str]:
    """What cannot be of this file, or contradicts itself, a sentence each."""
    provenance = results.provenance
    yield from _day_and_time(PROVENANCE, provenance)
    if not provenance.merged:
        yield from _counted(PROVENANCE, provenance.runs, provenance.steps, plan, provenance.entries, provenance.seeds)
        return
    yield from _laid_together(results, plan)


def _day_and_time(where: str, stated: Provenance | Origin) -> Iterator[str]:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    if not _is_day(stated.finished):
        yield f"{where}: finished is {value_text(stated.finished)}, and no day such as 2026-01-31"
    elif stated.finished > today:
        yield f"{where}: finished is {stated.finished}, a day in the future: here it is {today} in UTC"
    if not 0 <= stated.wall_seconds <= LONGEST:
        yield f"{where}: no run takes {stated.wall_seconds:g} seconds of wall time"
    elif not stated.wall_seconds and stated.runs.cached < stated.runs.distinct:
        yield f"{where}: runs trained, and no wall time was taken"


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _counted(
    where: str, runs: RunCounts, steps: int, plan: Plan, entries: Collection[str], seeds: Collection[int]
) -> Iterator[str]:
    """What the counts of a run of these entries and seeds cannot be."""
    naive, distinct, most = planned_counts(plan, entries, seeds)
    if (runs.naive, runs.distinct) != (naive, distinct):
        yield (
            f"{where}: it counts {runs.naive:,} training runs, {runs.distinct:,} of them distinct, and the file plans "
            f"{naive:,} and {distinct:,}"
        )
    if not 0 <= runs.cached <= runs.distinct:
        yield f"{where}: {runs.cached:,} of {runs.distinct:,} distinct runs cannot have been in the store before"
    elif not 0 <= steps <= most:
        yield f"{where}: it counts {steps:,} training examples, and the file plans {most:,} at most"
    elif runs.cached == runs.distinct and steps:
        yield f"{where}: it counts {steps:,} training examples, and no run that trained"
    elif runs.cached < runs.distinct and not steps:
        yield f"{where}: it counts no training example, and {runs.distinct - runs.cached:,} runs that trained"


def planned_counts(plan: Plan, entries: Collection[str], seeds: Collection[int]) -> tuple[int, int, int]:
    """Training runs that a plan's entries and seeds ask for, those of them that differ, and their training examples."""
    trials = tuple(trial for trial in plan.trials if trial.entry in entries and trial.seed in seeds)
    wanted = demanded(dict(plan.phases), list(replace(plan, trials=trials, also=()).sinks))
    runs = {key: refs for key, refs in wanted.items() if plan.phases[key].kind == "train"}
    naive = sum(len(trial.finds) + len(trial.evaluations) for trial in trials)
    return naive, len(runs), sum(samples(plan.phases[key], refs) for key, refs in runs.items())


def _laid_together(results: Results, plan: Plan) -> Iterator[str]:
    """What the origins of merged results cannot be: together they must have all that is there."""
    provenance = results.provenance
    origins = provenance.merged
    for number, origin in enumerate(origins, 1):
        where = f"{PROVENANCE}: merged, origin {number}"
        unsaid = sorted(Origin.model_fields.keys() - {"environments"} - origin.model_fields_set)
        if unsaid:
            yield f"{where}: it does not say {', '.join(unsaid)}; merge the results again with this version"
        yield from _day_and_time(where, origin)
        yield from _counted(where, origin.runs, origin.steps, plan, origin.entries, origin.seeds)
    for name, whole, parts in (
        ("entries", provenance.entries, [origin.entries for origin in origins]),
        ("seeds", provenance.seeds, [origin.seeds for origin in origins]),
    ):
        if tuple(dict.fromkeys(value for part in parts for value in part)) != tuple(whole):
            yield f"{PROVENANCE}: merged: the {name} of the origins do not make up {name}"
    of_origins = {(entry, seed) for origin in origins for entry in origin.entries for seed in origin.seeds}
    beside = dict.fromkeys((row.entry, row.seed) for row in results.rows if (row.entry, row.seed) not in of_origins)
    yield from listed(f"{PROVENANCE}: merged: pairs of entry and seed that no origin has", map(_pair, beside))
    sums: dict[str, tuple[float, list[float]]] = {
        "runs.naive": (provenance.runs.naive, [origin.runs.naive for origin in origins]),
        "runs.distinct": (provenance.runs.distinct, [origin.runs.distinct for origin in origins]),
        "runs.cached": (provenance.runs.cached, [origin.runs.cached for origin in origins]),
        "steps": (provenance.steps, [origin.steps for origin in origins]),
        "wall_seconds": (provenance.wall_seconds, [origin.wall_seconds for origin in origins]),
    }
    for name, (total, added) in sums.items():
        if not math.isclose(total, sum(added), rel_tol=1e-12):
            yield f"{PROVENANCE}: {name} is {total:,}, and of the origins together {sum(added):,}"
    first = origins[0]
    if provenance.finished != max(origin.finished for origin in origins):
        yield f"{PROVENANCE}: finished is not the last day of the origins"
    for name in ("environment", "environments", "hardware"):
        if getattr(provenance, name) != getattr(first, name):
            yield f"{PROVENANCE}: {name} is not that of the first origin"


def _pair(cell: tuple[str, int]) -> str:
    return f'"{cell[0]}", seed {cell[1]}'
