"""A benchmark file -> frozen, fully resolved entries. All errors of a file come at once. No torch."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import ValidationError

from prunebench.api.errors import ConfigError, nearest
from prunebench.api.problems import problems, shortened
from prunebench.api.task import primary
from prunebench.benchmark import bounds, checks, merging
from prunebench.benchmark.entries import Benchmark, Entry
from prunebench.benchmark.errors import Errors
from prunebench.benchmark.resolution import EntryResolver, linked, stated_entries
from prunebench.benchmark.tables import TopTable
from prunebench.benchmark.toml import Table
from prunebench.components.binding import FileBinder
from prunebench.components.catalogue import Catalogue


@dataclass(frozen=True)
class Reading:
    """A file as far as it is right: the benchmark of the entries that have no error, and the errors of the rest."""

    benchmark: Benchmark | None
    errors: tuple[str, ...]

    def sound(self) -> Benchmark:
        """The benchmark of the whole file. Raises ConfigError with every error."""
        if self.errors or self.benchmark is None:
            raise ConfigError(self.errors)
        return self.benchmark


class Changes(TypedDict, total=False):
    """What the command line changes of a file: `profile` is the `[profile.NAME]` to lay over it."""

    profile: str | None
    seeds: Sequence[int] | None
    only: Sequence[str]
    settings: Sequence[str]


def read(path: Path, catalogue: Catalogue, **changes: Unpack[Changes]) -> Reading:
    """Read, merge and resolve a benchmark file; each error names the file and the key."""
    try:
        raw, asked = _laid_out(merging.read_file(path), changes)
        reading = _resolved(raw, catalogue, path, changes, asked)
    except ConfigError as error:
        reading = Reading(None, error.errors)
    where = os.path.relpath(path)
    return Reading(reading.benchmark, tuple(f"{where}: {message}" for message in reading.errors))


def load(path: Path, catalogue: Catalogue, **changes: Unpack[Changes]) -> Benchmark:
    """The same for a file that is right. Raises ConfigError with every error of the file."""
    return read(path, catalogue, **changes).sound()


def resolve(raw: Table, catalogue: Catalogue, path: Path) -> Benchmark:
    """The same for a file's table, read and normalised by `merging`; `path` names it."""
    return _resolved(raw, catalogue, path, {}).sound()


def _laid_out(raw: Table, changes: Changes) -> tuple[Table, Any]:
    """The file's table under its profile and what the command line changes, and the seeds that the file asks for."""
    raw, profile = dict(raw), changes.get("profile")
    profiles = raw.pop("profile", {})
    if not isinstance(profiles, Mapping):
        raise ConfigError([f"profile: must be a table, not {shortened(profiles)}"])
    if profile is not None:
        if profile not in profiles:
            known = nearest(profile, profiles) or " The file has no profiles."
            raise ConfigError([f'no profile "{profile}".{known}'])
        if not isinstance(profiles[profile], Mapping):
            raise ConfigError([f"profile.{profile}: must be a table, not {shortened(profiles[profile])}"])
        raw = merging.merge(raw, profiles[profile])
    for setting in changes.get("settings", ()):
        raw = merging.apply_setting(raw, setting)
    asked = raw.get("seeds")
    if (seeds := changes.get("seeds")) is not None:
        raw["seeds"] = list(seeds)
    return raw, asked


def _resolved(raw: Table, catalogue: Catalogue, path: Path, changes: Changes, asked: Any = None) -> Reading:
    binder = FileBinder(catalogue)
    errors = Errors()
    top, wrong = _top_table(raw, binder, errors)
    stated = {} if "entry" in wrong else stated_entries(top.entry, errors)
    resolver = EntryResolver(top, wrong, binder)
    entries: dict[str, Entry] = {}
    for one in stated.values():
        entry = resolver.resolve(one, errors)
        if entry is not None:
            entries[one.name] = entry
    scored = _scored(top, stated, changes.get("only", ()), errors)
    errors.extend(checks.unknown_references(entries, stated))
    entries = linked(entries, errors)
    chosen = tuple(entries[name] for name in scored if name in entries)
    # Where `--only` is wrong the rest of the file is still read as it would be.
    top = _with_metrics(top, chosen or tuple(entries.values()))
    errors.extend(checks.unknown_names(top, stated))
    if not wrong & {"measure", "report"}:
        errors.extend(checks.wrong_report(top, chosen))
    if "measure" not in wrong:
        errors.extend(checks.never_measured(top, entries))
    tickets = len(top.seeds) * sum(entry.judged * len(entry.models) * len(entry.data) for entry in chosen)
    if tickets > bounds.TICKETS:
        errors.append(f"the file asks for {tickets:,} judged tickets; at most {bounds.TICKETS:,} can be")
        raise ConfigError(errors.lines())
    benchmark = Benchmark(
        name=path.stem,
        file=str(path),
        claim=top.claim,
        note=top.note,
        seeds=top.seeds,
        missing_seeds=_missing(asked, top.seeds),
        entries=chosen,
        all_entries=entries,
        measure=top.measure,
        report=top.report,
        execution=top.execution,
        expect=tuple(e for e in top.expect if e.better in scored and e.worse in scored),
        profile=changes.get("profile"),
        catalogue=catalogue,
    )
    return Reading(benchmark, tuple(errors.lines()))


def _missing(asked: Any, seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds that a file asks for, whatever stands there, and that are not run."""
    stated = asked if isinstance(asked, list) else []
    return tuple(dict.fromkeys(seed for seed in stated if type(seed) is int and seed not in seeds))


_STAND_INS: Mapping[str, Any] = {"schema": 1, "seeds": [0], "data": [{}], "model": [{}], "train": {}, "entry": [{}]}
"""What stands for a required key that is wrong while the rest of the file is looked at."""


def _with_metrics(top: TopTable, scored: Sequence[Entry]) -> TopTable:
    """The file's own keys, with the task's primary metric where they name none."""
    if not scored:
        return top
    tested = f"test/{primary(scored[0].metrics)}"
    report = top.report if top.report.metric else top.report.model_copy(update={"metric": tested})
    expect = tuple(one if one.metric else one.model_copy(update={"metric": tested}) for one in top.expect)
    return top.model_copy(update={"report": report, "expect": expect})


def _top_table(raw: Table, binder: FileBinder, errors: Errors) -> tuple[TopTable, set[str]]:
    """The file's own keys, and those that are wrong: they are left out, so that errors further on come as well."""
    wrong: set[str] = set()
    while True:
        stand_ins = {key: value for key, value in _STAND_INS.items() if key in wrong}
        try:
            readable = {key: value for key, value in raw.items() if key not in wrong} | stand_ins
            return TopTable.model_validate(readable, context=binder), wrong
        except ValidationError as error:
            several = problems(error)
            errors.extend(one.at("") for one in several)
            wrong |= {str(one.path[0]) for one in several}


def _scored(top: TopTable, stated: Collection[str], only: Sequence[str], errors: Errors) -> list[str]:
    """The entries that are scored, in the order of the file."""
    names = list(stated)
    for key, wanted in (("entries", top.entries), ("--only", only or None)):
        if wanted is None:
            continue
        absent = [name for name in dict.fromkeys(wanted) if name not in stated]
        errors.extend(f'{key}: no entry "{name}".{nearest(name, stated)}' for name in absent)
        names = [name for name in names if name in wanted]
        if not names and not absent:
            errors.append(f"{key}: no entry is left to score")
    return names
