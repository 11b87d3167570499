"""Whether rows and provenance state all that this version does: what is left out is read as its default."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.api.provenance import MetricInfo, Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Record, Row
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.expectations import Expect
from prunebench.results.merge import MARKS
from prunebench.results.provenance import PROVENANCE
from prunebench.results.rows import RESULTS
from prunebench.runner.provenance import metrics_of
from prunebench.verification.audit.wording import listed

_SOMETIMES = {Provenance: {"environments", "merged", "missing_seeds"}, MetricInfo: {"low", "high"}}
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


def lacking_of_provenance(provenance: Provenance, benchmark: Benchmark) -> Iterator[str]:
    """What must stand in the provenance and does not, a sentence each."""
    if not provenance.prunebench:
        yield f"{PROVENANCE}: it does not say which version of prunebench made it"
    if not provenance.primary:
        yield f"{PROVENANCE}: it does not say which metric a network is judged by"
    unread = (name for name in metrics_of(benchmark) if name not in provenance.metrics)
    yield from listed(f"{PROVENANCE}: it does not say how metrics read", unread)
    for name, use in benchmark.uses().items():
        origin = provenance.components.get(name)
        if origin is not None and not origin.distribution:
            yield f'{PROVENANCE}: component "{name}" has no distribution'
        if origin is not None and use.component.paper and not origin.paper:
            yield f'{PROVENANCE}: component "{name}" has no source'


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
