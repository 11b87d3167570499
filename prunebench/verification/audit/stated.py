"""Whether rows and provenance state all that this version does: what is left out is read as its default."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from prunebench.api.provenance import MetricInfo, Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Record, Row
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.expectations import Expect
from prunebench.results.merge import MARKS
from prunebench.results.provenance import PROVENANCE
from prunebench.results.rows import RESULTS
from prunebench.runner.provenance import metrics_of
from prunebench.store.environment import Environment
from prunebench.verification.audit.wording import listed, value_text

_MACHINE = ("cores", "cpu", "device")
"""What is noted of every machine."""

_SOMETIMES = {Provenance: {"environments", "merged"}, MetricInfo: {"low", "high"}}
"""Fields that this version states only where there is something to state; those of rows are MARKS."""


def unstated_of_rows(results: Results) -> Iterator[str]:
    """Fields that rows leave out, a sentence each.

    Whether an earlier version wrote them or somebody dropped them cannot be told.
    """
    stated = {frozenset(row.model_fields_set - MARKS) for row in results.rows}
    some, everywhere = frozenset[str]().union(*stated), frozenset(Row.model_fields).intersection(*stated)
    apart, absent = sorted(some - everywhere), sorted(Row.model_fields.keys() - MARKS - some)
    if apart:
        yield f"{RESULTS}: only some rows have the field {', '.join(apart)}"
    if absent and results.rows:
        yield f"{RESULTS}: no row has the field {', '.join(absent)}, which this version of prunebench writes"


def lacking_of_provenance(
    provenance: Provenance, benchmark: Benchmark, environment: Mapping[str, object]
) -> Iterator[str]:
    """What must stand in the provenance and does not, a sentence each.

    Args:
        environment: the fingerprint here, for the names of its fields.
    """
    for where, fields in {"environment": provenance.environment, **provenance.environments}.items():
        lacking = (name for name in environment if fields.get(name) in (None, ""))
        yield from listed(f"{PROVENANCE}: fields that {_place(where)} lacks", lacking)
    known = {Environment(_plain(fields)).id: name for name, fields in provenance.environments.items()}
    other = (name for identity, name in known.items() if name != identity)
    yield from listed(f"{PROVENANCE}: environments under an id that is not of their fields", other)
    lacking = (name for name in _MACHINE if provenance.hardware.get(name) in (None, ""))
    yield from listed(f"{PROVENANCE}: fields that hardware lacks", lacking)
    device = str(provenance.environment.get("device"))
    if provenance.hardware.get("device") not in (None, "", device):
        yield f"{PROVENANCE}: hardware.device is not that of the environment, {value_text(device)}"
    if not provenance.prunebench:
        yield f"{PROVENANCE}: it does not say which version of prunebench made it"
    if not _is_day(provenance.finished):
        yield f"{PROVENANCE}: finished is {value_text(provenance.finished)}, and no day such as 2026-01-31"
    if not provenance.primary:
        yield f"{PROVENANCE}: it does not say which metric a network is judged by"
    unread = (name for name in metrics_of(benchmark) if name not in provenance.metrics)
    yield from listed(f"{PROVENANCE}: it does not say how metrics read", unread)
    runs = provenance.runs
    if runs.cached < runs.distinct and not provenance.steps:
        yield f"{PROVENANCE}: it counts no training example, and {runs.distinct - runs.cached:,} runs that trained"
    for name, use in benchmark.uses().items():
        origin = provenance.components.get(name)
        if origin is not None and not origin.distribution:
            yield f'{PROVENANCE}: component "{name}" has no distribution'
        if origin is not None and use.component.paper and not origin.paper:
            yield f'{PROVENANCE}: component "{name}" has no source'


def _place(name: str) -> str:
    return name if name == "environment" else f"environment {name}"


def _plain(fields: Mapping[str, object]) -> dict[str, str | int]:
    return {name: value if isinstance(value, str | int) else str(value) for name, value in fields.items()}


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def left_out(results: Results) -> Iterator[str]:
    """Fields that read as their default because they are left out, a sentence."""
    names = dict.fromkeys(_left_out(results.provenance, ""))
    if "memory_gib" not in results.provenance.hardware:  # not every system tells
        names["hardware.memory_gib"] = None
    for expectation in results.provenance.report.expectations:
        names |= {f"report.expectations.{name}": None for name in Expect.model_fields if name not in expectation}
    names |= dict.fromkeys(f"details.{name}" for line in results.details for name in _left_out(line, ""))
    yield from listed("fields that are left out, and read as their default", names)


def _left_out(record: Record, where: str) -> Iterator[str]:
    for name, field in type(record).model_fields.items():
        place, value = where + (field.alias or name), getattr(record, name)
        if name not in record.model_fields_set:
            if name not in _SOMETIMES.get(type(record), ()):
                yield place
        elif isinstance(value, Record) and name != "verification":  # its author's word
            yield from _left_out(value, f"{place}.")
