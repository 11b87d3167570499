"""Whether entries, seeds, components and the report's settings are those of the benchmark file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prunebench.api.metric import metric_of
from prunebench.api.provenance import MetricInfo, Provenance, ReportSettings
from prunebench.api.results import Results
from prunebench.api.task import primary
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.expectations import Expect
from prunebench.leaderboard.sides import expectation_of
from prunebench.results.provenance import PROVENANCE
from prunebench.results.rows import RESULTS
from prunebench.runner.provenance import metrics_of, report_settings
from prunebench.verification.audit.stated import unstated_of_rows
from prunebench.verification.audit.wording import listed, value_text

SCHEMA = 1
"""Of leaderboards that this version reads."""

_SETTINGS = ("name", "claim", "metric", "against", "alpha", "axis", "at")


def other_terms(results: Results, benchmark: Benchmark, seeds: Sequence[int]) -> Iterator[str]:
    """What differs, a sentence each.

    Args:
        seeds: those of the file itself.
    """
    provenance = results.provenance
    yield from _entries_and_seeds(results, benchmark, seeds)
    yield from _settings(provenance.report, benchmark)
    if [_plain(use) for use in provenance.also] != [_plain(use.to_json()) for use in benchmark.also]:
        yield "provenance.json: the reports beside the page are not those of the file"
    # Leaderboards of earlier versions say nothing of metrics; their names are read as the task's.
    ours = metrics_of(benchmark)
    read = {(row.name, row.unit) for row in results.rows if row.role == "evaluate"}
    other = sorted({name for name, unit in read if _reading(name, unit, provenance.metrics, ours)})
    yield from listed(f"metrics that {PROVENANCE} reads in another way than the task", other)
    judged = primary(benchmark.entries[0].metrics)
    if provenance.primary not in ("", judged):
        yield f"{PROVENANCE}: primary is {value_text(provenance.primary)}, and of the task {value_text(judged)}"
    uses = benchmark.uses()
    yield from _sets("components", provenance.components, uses, "the file", PROVENANCE)
    for name in sorted(uses.keys() & provenance.components.keys()):
        here, there = uses[name].component.version, provenance.components[name].version
        if here != there:
            yield f'component "{name}" has version {here} here, and the results were made with version {there}'


def contradictions(results: Results) -> Iterator[str]:
    """What rows and provenance contradict each other in, without the file, a sentence each."""
    provenance = results.provenance
    yield from _sets("entries", [row.entry for row in results.rows], provenance.entries, PROVENANCE, RESULTS)
    yield from _sets("seeds", [row.seed for row in results.rows], provenance.seeds, PROVENANCE, RESULTS)
    if provenance.schema_version != SCHEMA:
        yield f"{PROVENANCE}: schema {provenance.schema_version} is not known here; this version reads {SCHEMA}"
    yield from unstated_of_rows(results)
    for name, values in (("an entry", provenance.entries), ("a seed", provenance.seeds)):
        if len(set(values)) < len(values):
            yield f"{PROVENANCE}: {name} is repeated"


def _entries_and_seeds(results: Results, benchmark: Benchmark, file_seeds: Sequence[int]) -> Iterator[str]:
    provenance = results.provenance
    wanted = tuple(entry.name for entry in benchmark.entries)
    yield from _sets("entries", provenance.entries, wanted, "the file", PROVENANCE)
    # Seeds beside those of the file are no fault; fewer are, unless the page says that they are missing.
    missing = _lacking(file_seeds, provenance.seeds)
    unsaid = map(value_text, _lacking(missing, provenance.missing_seeds))
    yield from listed("seeds of the file that provenance.json lacks", unsaid)
    unlike = map(value_text, _lacking(provenance.missing_seeds, missing))
    yield from listed(f"seeds that {PROVENANCE} says are missing, and are not", unlike)
    if provenance.entries != wanted and set(provenance.entries) == set(wanted):
        yield f"{PROVENANCE}: the entries are in another order than in the file"


def _sets(what: str, there: Iterable[object], wanted: Iterable[object], whose: str, where: str) -> Iterator[str]:
    there, wanted = list(there), list(wanted)
    yield from listed(f"{what} of {whose} that {where} lacks", map(value_text, _lacking(wanted, there)))
    yield from listed(f"{what} in {where} that {whose} does not have", map(value_text, _lacking(there, wanted)))


def _lacking(wanted: Iterable[object], there: Iterable[object]) -> list[object]:
    known = set(there)
    return [value for value in dict.fromkeys(wanted) if value not in known]


def _settings(recorded: ReportSettings, benchmark: Benchmark) -> Iterator[str]:
    wanted = report_settings(benchmark)
    for name in _SETTINGS:
        ours, theirs = getattr(wanted, name), getattr(recorded, name)
        if ours != theirs:
            yield f"report.{name} is {value_text(theirs)}, and in the file {value_text(ours)}"
    expected = [_plain(expect) for expect in wanted.expectations]
    stated = [_plain(expect) for expect in recorded.expectations]
    if len(stated) != len(expected) or not all(map(_says_the_same, stated, expected)):
        yield "report.expectations are not those of the file"


def _says_the_same(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether everything that is recorded is as wanted, and what is not recorded reads as if it were.

    A field that came with a later version is missing in what an earlier one wrote, whose files could not state it.
    """
    same = all(name in wanted and wanted[name] == value for name, value in recorded.items())
    required = all(name in recorded for name, field in Expect.model_fields.items() if field.is_required())
    return same and required and expectation_of(recorded, "") == expectation_of(wanted, "")


def _reading(name: str, unit: str, recorded: Mapping[str, MetricInfo], ours: Mapping[str, MetricInfo]) -> bool:
    """Whether a metric reads in two ways."""
    return metric_of(name, unit, recorded) != metric_of(name, unit, ours)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def unusual_terms(provenance: Provenance, benchmark: Benchmark, seeds: Sequence[int]) -> Iterator[str]:
    """What is no fault but worth knowing, a sentence each."""
    from prunebench.api.version import VERSION

    if provenance.prunebench != VERSION:
        yield f"made with prunebench {provenance.prunebench}; this is {VERSION}"
    missing = map(value_text, provenance.missing_seeds)
    yield from listed("partial, as it says: seeds of the file that are missing", missing)
    chosen = map(value_text, _lacking(provenance.seeds, seeds))
    yield from listed("seeds that are not the file's, which whoever ran it chose", chosen)
    for name, use in benchmark.uses().items():
        origin = provenance.components.get(name)
        if origin is None:
            continue
        if origin.distribution.split(" ")[0] != use.provider.distribution.split(" ")[0]:
            yield f'component "{name}" came from {origin.distribution}, and here from {use.provider.distribution}'
        elif origin.distribution != use.provider.distribution:
            yield f'component "{name}" is said to come from {origin.distribution}; here {use.provider.distribution}'
        if origin.paper != use.component.paper:
            yield f'component "{name}" names another source than the installed one: {value_text(origin.paper)}'
