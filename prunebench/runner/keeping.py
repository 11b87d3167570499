"""What benchmark files need of a store, and what may go."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.api.errors import ConfigError
from prunebench.components.catalogue import Catalogue
from prunebench.runner.judged_weights import judged_weights
from prunebench.runner.preparing import Options, default_store, prepare
from prunebench.store.contents import Amount, Contents, KeptCopy, contents_of
from prunebench.store.environment import Environment
from prunebench.store.marker import is_store
from prunebench.store.objects import ObjectBackend
from prunebench.store.store import Store


@dataclass(frozen=True)
class Needed:
    """Addresses that a file asks for, with all its profiles.

    Args:
        results: what its results are read off.
        all: these, what they are made from, and the judged weights where the file does not say `keep = "none"`.
    """

    file: str
    results: frozenset[str]
    all: frozenset[str]


def open_any(place: Path | str | None, *, near: bool = True) -> Store:
    """A store for looking after it: every copy counts, wherever it was made.

    Raises:
        StoreError: the place holds something else, a store of another format, or none can be reached.
    """
    chosen = default_store() if place is None else place
    return Store(chosen, environment=Environment({"for": "keeping"}), reuse="any", near=near)


def needed_by(
    files: Iterable[Path],
    place: Path | str | None,
    seeds: Sequence[int] | None = None,
    catalogue: Catalogue | None = None,
) -> list[Needed]:
    """What each file asks for, as it stands and under each of its profiles.

    Args:
        seeds: other seeds than the file's, beside them.
    Raises:
        ConfigError: a file cannot be planned. Nothing may be freed then.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    return [_needed(file, place, seeds, catalogue) for file in files]


def _needed(file: Path, place: Path | str | None, seeds: Sequence[int] | None, catalogue: Catalogue) -> Needed:
    try:
        profiles = tomllib.loads(file.read_text(encoding="utf-8")).get("profile", {})
    except (OSError, ValueError):
        profiles = {}  # read again below, with the error that says what is wrong
    results: set[str] = set()
    everything: set[str] = set()
    for profile in (None, *(profiles if isinstance(profiles, dict) else ())):
        for drawn in (None, *([tuple(seeds)] if seeds else ())):
            prepared = prepare(Options(file, profile=profile, seeds=drawn, store=place), catalogue)
            plan = prepared.plan
            results.update(ref.address for ref in plan.sinks)
            everything.update(ref.address for refs in plan.wanted.values() for ref in refs)
            if prepared.benchmark.execution.keep != "none":
                # They are nothing that a run wants for itself, but what an export after it needs.
                everything.update(ref.address for ref in judged_weights(plan))
    return Needed(str(file), frozenset(results), frozenset(results | everything))


@dataclass(frozen=True)
class Info:
    """What a store keeps, and for whom."""

    place: str
    exists: bool
    contents: Contents
    files: tuple[tuple[Needed, Amount], ...]
    """Each file, with the payloads that are there for it."""
    unneeded: Amount
    """Payloads that none of these files asks for."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        kept = self.contents
        return {
            "store": self.place,
            "exists": self.exists,
            "payloads": kept.payloads().to_json(),
            "records": kept.records.to_json(),
            "records_only": kept.dropped,
            "unfinished": kept.unfinished.to_json(),
            "checkpoints": kept.checkpoints.to_json(),
            "cached": kept.cached.to_json(),
            "environments": {name: amount.to_json() for name, amount in kept.by_lineage().items()},
            "files": [
                {"file": needed.file, "asked": len(needed.all), "there": amount.to_json()}
                for needed, amount in self.files
            ],
            "unneeded": self.unneeded.to_json() if self.files else None,
        }


def info(store: Store, needed: Sequence[Needed] = ()) -> Info:
    """What a store keeps."""
    exists = is_store(store.backend)
    contents = contents_of(store.backend)
    files = tuple(
        (file, contents.payloads(copy for copy in contents.copies if copy.address in file.all)) for file in needed
    )
    return Info(store.backend.place, exists, contents, files, contents.payloads(unneeded(contents, needed)))


def unneeded(contents: Contents, needed: Iterable[Needed]) -> list[KeptCopy]:
    """Copies with a payload that none of the files asks for."""
    asked: set[str] = set()
    for file in needed:
        asked |= file.all
    return [copy for copy in contents.copies if copy.recorded and copy.files and copy.address not in asked]


LEFT_LEASE_SECONDS = 86_400.0
"""How long a claim that was given back stays in an object store at least: nobody may be about to take it."""


def free(store: Store, copies: Iterable[KeptCopy], observe: Callable[[str], None] = lambda address: None) -> None:
    """Drop the payloads of these artifacts and keep their records, which recomputations are held against.

    In an object store leases that were given back long ago go too.
    """
    if isinstance(store.backend, ObjectBackend):
        store.backend.remove_free_leases(LEFT_LEASE_SECONDS)
    for address in dict.fromkeys(copy.address for copy in copies):
        store.drop_payload(address)
        observe(address)


def wanted(contents: Contents, needed: Sequence[Needed], *, whole: bool) -> list[KeptCopy]:
    """Copies to send to another store: all, or where files are named those that they ask for.

    Args:
        whole: with what results were made from, not only what they are read off.
    """
    if not needed:
        return list(contents.copies)
    asked: set[str] = set()
    for file in needed:
        asked |= file.all if whole else file.results
    return [copy for copy in contents.copies if copy.address in asked]


def same_place(one: Store, other: Store) -> None:
    """Raises ConfigError where two stores are one."""
    if one.backend.place == other.backend.place:
        raise ConfigError([f"{one.backend.place}: is both the source and the target. Name another store."])
