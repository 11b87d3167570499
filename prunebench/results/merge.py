"""Results of the same benchmark laid together: other seeds, entries or machines; and which must not be."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Protocol, TypeVar

from prunebench.api.details import AnalysisDetail, Detail
from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import ComponentOrigin, Origin, Provenance, RunCounts
from prunebench.api.results import Results
from prunebench.api.untrusted_text import printable

MARKS = {"asked_macs", "asked_parameters", "empty_layers", "environments", "exact", "note", "unscored_layers"}
"""Fields that only some rows state; they are no part of the schema."""


class _Line(Protocol):
    """A row or a detail."""

    @property
    def entry(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def seed(self) -> int: ...


Line = TypeVar("Line", bound=_Line)


def detail_identity(detail: Detail) -> tuple[Hashable, ...]:
    """What a detail is of: two that agree in this are of the same evaluation or analysis."""
    trial = (detail.kind, detail.entry, detail.model, detail.data, detail.seed, detail.key)
    own = (detail.analysis,) if isinstance(detail, AnalysisDetail) else (detail.round, detail.draw)
    return (*trial, *own)


def check_mixable(a: Results, b: Results) -> None:
    """Nothing if the rows of both may be ranked together.

    They may not if they differ in schema, in the fields of their rows, in the version or distribution of a component
    that both used, in profile or in changed settings, or if they have different values for one measurement.

    Raises: PrunebenchError, with everything that differs.
    """
    differences = [
        *_schema(a, b),
        *_components(a.provenance.components, b.provenance.components),
        *_recipe(a.provenance, b.provenance),
        *_values(a, b),
    ]
    if differences:
        listed = "\n".join(f"  {line}" for line in differences)
        raise PrunebenchError(f'results of "{a.name}" and "{b.name}" cannot be mixed:\n{listed}')


def merged(results: Sequence[Results]) -> Results:
    """The rows of all, each measurement once.

    Raises:
        PrunebenchError: two of them differ in schema, component versions, profile, or a measurement, or one has rows of
            an entry that it does not list; says in what.
    """
    for one in results:
        _check_entries(one)
    for one, other in combinations(results, 2):
        check_mixable(one, other)
    first = results[0]
    sources = [one.provenance for one in results]
    entries = tuple(dict.fromkeys(name for source in sources for name in source.entries))
    origins = tuple(origin for source in sources for origin in origins_of(source))
    said = {merged_note(len(source.merged)) for source in sources if source.merged}
    notes = dict.fromkeys(note for source in sources for note in source.report.notes if note not in said)
    seeds = tuple(dict.fromkeys(seed for source in sources for seed in source.seeds))
    missing = [seed for source in sources for seed in source.missing_seeds]
    provenance = first.provenance.model_copy(
        update={
            "seeds": seeds,
            **({"missing_seeds": tuple(dict.fromkeys(s for s in missing if s not in seeds))} if missing else {}),
            "entries": entries,
            "components": {name: origin for source in sources for name, origin in source.components.items()},
            "finished": max(origin.finished for origin in origins),
            "wall_seconds": sum(origin.wall_seconds for origin in origins),
            "runs": RunCounts(
                naive=sum(origin.runs.naive for origin in origins),
                distinct=sum(origin.runs.distinct for origin in origins),
                cached=sum(origin.runs.cached for origin in origins),
            ),
            "steps": sum(origin.steps for origin in origins),
            "merged": origins,
            "report": first.provenance.report.model_copy(update={"notes": (*notes, merged_note(len(origins)))}),
        }
    )
    order = {name: place for place, name in enumerate(entries)}
    rows = _in_order({row.identity: row for one in results for row in one.rows}.values(), order)
    details = _in_order({detail_identity(line): line for one in results for line in one.details}.values(), order)
    return Results(first.name, rows, details, provenance)


def origins_of(provenance: Provenance) -> tuple[Origin, ...]:
    """The runs that a provenance is of: those that were laid together, or its own."""
    if provenance.merged:
        return provenance.merged
    stated = provenance.model_fields_set & Origin.model_fields.keys()
    return (Origin.model_construct(stated, **{name: getattr(provenance, name) for name in Origin.model_fields}),)


def merged_note(runs: int) -> str:
    """What the page of merged results says of it."""
    return f"Merged from {runs} runs; provenance.json lists each."


def _check_entries(results: Results) -> None:
    """Nothing if every line is of an entry that the provenance lists."""
    listed = set(results.provenance.entries)
    unknown = dict.fromkeys(
        line.entry for lines in (results.rows, results.details) for line in lines if line.entry not in listed
    )
    if unknown:
        raise PrunebenchError(
            f'results of "{results.name}" cannot be mixed: provenance.json does not list the entry '
            f'"{printable(next(iter(unknown)), 200)}"' + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
        )


def _in_order(lines: Iterable[Line], order: Mapping[str, int]) -> list[Line]:
    return sorted(lines, key=lambda line: (order[line.entry], line.model, line.data, line.seed))


def _schema(a: Results, b: Results) -> list[str]:
    ours, theirs = a.provenance.schema_version, b.provenance.schema_version
    if ours != theirs:
        return [f"schema: {ours} and {theirs}; write the older one again with the newer prunebench"]
    if not a.rows or not b.rows:
        return []
    fields = [one.rows[0].model_fields_set - MARKS for one in (a, b)]
    apart = sorted(fields[0] ^ fields[1])
    return [f"fields of the rows: only one has {', '.join(apart)}"] if apart else []


def _components(a: Mapping[str, ComponentOrigin], b: Mapping[str, ComponentOrigin]) -> list[str]:
    differences = []
    for name in sorted(a.keys() & b.keys()):
        ours, theirs = a[name], b[name]
        if ours.version != theirs.version:
            differences.append(f'component "{name}": version {ours.version} and {theirs.version}')
        # the distribution's own version may change while the component's numbers do not
        origins = [origin.distribution.split(" ")[0] for origin in (ours, theirs)]
        if origins[0] != origins[1]:
            differences.append(f'component "{name}": from {origins[0]} and from {origins[1]}')
    return differences


def _recipe(a: Provenance, b: Provenance) -> list[str]:
    differences = []
    if a.profile != b.profile:
        differences.append(f"profile: {_quoted(a.profile)} and {_quoted(b.profile)}")
    ours, theirs = (sorted(one.settings) for one in (a, b))
    if ours != theirs:
        differences.append(f"settings: {', '.join(ours) or 'none'} and {', '.join(theirs) or 'none'}")
    return differences


def _quoted(profile: str | None) -> str:
    return "none" if profile is None else f'"{profile}"'


def _values(a: Results, b: Results) -> list[str]:
    """Measurements that both have, with different values: the first of them, and how many."""
    ours = {row.identity: row for row in a.rows}
    apart = [(ours[row.identity], row) for row in b.rows if row.identity in ours]
    apart = [(row, other) for row, other in apart if row.value != other.value]
    if not apart:
        return []
    row, other = apart[0]
    return [
        f'{len(apart)} measurements have two values, the first being entry "{row.entry}", seed {row.seed}, '
        f"round {row.round}, {row.split}/{row.metric} at {row.position}: {row.value!r} and {other.value!r}"
    ]
