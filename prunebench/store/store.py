"""Content-addressed artifacts: written once, whole, and checked when they are read. No torch at import time.

An artifact's record names its files with their sha256 and seals itself with its own. It is written last, and only where
there is none: what has no sound record does not exist. A reader takes no lock. Writers of one address take turns, so
each can remove what a killed one left behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from prunebench.api.errors import LostArtifact, StoreError
from prunebench.store.backend import Backend, Lease
from prunebench.store.copies import (
    AbsentError,
    Artifact,
    Copy,
    DamagedError,
    all_copies,
    checked_name,
    copies_of,
    is_lineage,
    prefix_of,
)
from prunebench.store.environment import Environment
from prunebench.store.marker import claim, is_store
from prunebench.store.payload_cache import cache_of_this_machine
from prunebench.store.places import backend_of
from prunebench.store.records import Record, as_read, lineage_name
from prunebench.store.scratch import CachedJson, Checkpoints
from prunebench.store.turns import wait_for

__all__ = ["Artifact", "Record", "Store"]


SWEEP = 256
"""From how many addresses on a distant store is listed whole instead of being asked for each."""

ATONCE = 16
"""Requests to a distant store that are under way at once."""


class NotReproducedError(StoreError):
    """An artifact was computed again in the same lineage, and its files differ."""


class Store:
    """Artifacts under `objects/`, checkpoints under `scratch/`, probes under `cache/`, of a folder or another backend.

    A place is a folder's path or a URL such as "s3://bucket/path". Payloads of a distant one are kept nearby as well.

    An artifact counts under `reuse = "same"` if it and all its ancestors were made in `environment`; under "any" each
    counts, those made here first. A missing or empty place becomes a store on the first write.

    Args:
        near: whether payloads of a distant store may come from this machine's cache of them.
    Raises: StoreError if the place holds something else, or a store of another format.
    """

    def __init__(
        self,
        place: Path | str | Backend,
        *,
        environment: Environment,
        reuse: Literal["same", "any"] = "same",
        near: bool = True,
    ) -> None:
        self.backend: Backend = backend_of(place) if isinstance(place, Path | str) else place
        self._cache = cache_of_this_machine() if near and self.backend.distant else None
        self.environment = environment
        self._claimed = False
        self.reuse = reuse
        self._own = environment.id
        is_store(self.backend)
        self._checkpoints, self._cached = Checkpoints(self.backend, self._own), CachedJson(self.backend)
        # A child's lineage follows the parent that was read. A better one may have appeared since.
        self._served: dict[str, tuple[str, ...]] = {}

    @property
    def root(self) -> Path:
        """The folder of a store in a folder."""
        return Path(self.backend.place)

    def has(self, address: str) -> bool:
        """Whether the artifact counts and its files are there in their sizes. Hashes no payload."""
        return self._complete(address) is not None

    def have(self, addresses: Iterable[str]) -> set[str]:
        """Those of the addresses that `has` is true of; of a distant store many at once."""
        if not self.backend.distant:
            return {address for address in addresses if self.has(address)}
        return set(self.records(addresses))

    def records(self, addresses: Iterable[str]) -> dict[str, Record]:
        """The records of those of the addresses that `has` is true of, by address."""
        if not self.backend.distant:
            return {address: record for address in addresses if (record := self._complete(address)) is not None}
        wanted = list(addresses)
        with ThreadPoolExecutor(ATONCE) as pool:
            if len(wanted) < SWEEP:
                found = pool.map(self._complete, wanted)
            else:
                there = self._swept(wanted, pool)
                found = pool.map(lambda address: self._complete_in(there.get(address, {}), address), wanted)
            return {address: record for address, record in zip(wanted, found, strict=True) if record is not None}

    def meta(self, address: str) -> Record:
        """What is recorded of an artifact that counts, without a look at its payload, which `files` reads.

        Raises:
            LostArtifact: it has no record, or a corrupt one.
        """
        why, candidates = "not in the store", self._candidates(address)
        complete = self._complete(address) if len(candidates) > 1 else None
        if complete is not None:
            return complete
        for copy in candidates:
            try:
                return copy.record()
            except (AbsentError, DamagedError) as reason:
                why = str(reason)
        raise LostArtifact(address, self._hint(address, why))

    def files(self, record: Record) -> Mapping[str, bytes]:
        """The payload of a record, every hash verified. Raises LostArtifact as `get` does."""
        with suppress(AbsentError, DamagedError):
            return self._copy(record.address, lineage_name(record.lineage)).payload(record)
        artifact = self.get(record.address)  # sets the damaged copy aside, unless it was mended meanwhile
        if artifact.lineage != record.lineage:
            raise LostArtifact(record.address, "it was corrupt; a copy from another environment counts instead")
        return artifact.files

    def get(self, address: str) -> Artifact:
        """The artifact, every hash verified.

        Raises: LostArtifact if it is absent, its payload was dropped, or it is corrupt; what is corrupt is moved aside
            as `*.bad`. StoreError if the store cannot be read, or the corrupt artifact cannot be moved.
        """
        why = "not in the store"
        for copy in self._candidates(address):
            try:
                artifact = self._sound(copy)
            except (AbsentError, DamagedError) as reason:
                why = str(reason)
            else:
                self._served[address] = artifact.lineage
                return artifact
        raise LostArtifact(address, self._hint(address, why))

    def put(self, address: str, files: Mapping[str, bytes], meta: dict[str, Any], parents: Iterable[str]) -> Artifact:
        """Keep an artifact, all of it or nothing.

        Putting it again checks that its files are reproduced, restores those that are gone, and keeps the first `meta`.

        Args:
            files: payload by plain file name (letters, digits, "_", "-", "."); may be empty.
            meta: JSON without NaN; it does not take part in the comparison.
            parents: addresses of the artifacts that this one was computed from.
        Raises: LostArtifact if a parent is absent. StoreError if an earlier computation in the same lineage has other
            files, or the store cannot be written; then nothing of this artifact is visible. ValueError on a wrong name.
        """
        parents = sorted(set(parents))
        lineage = self._lineage_from(parents)
        new = Record(
            address,
            sizes={checked_name(name): len(data) for name, data in files.items()},
            digests={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            meta=as_read(meta),
            lineage=lineage,
            parents=tuple(parents),
            environment=as_read(dict(self.environment.fields)),
        )
        kept = self.keep(new, files)
        self._served[address] = lineage
        return Artifact(address, dict(files), kept.meta, lineage, new.digests)

    def keep(self, record: Record, files: Mapping[str, bytes]) -> Record:
        """Keep an artifact under the record that it has, wherever it was made; the record that is kept now.

        Raises: NotReproducedError if there is one with other files. StoreError if the store cannot be written.
        """
        copy = self._copy(record.address, lineage_name(record.lineage))
        with self._only_writer(record.address):
            known = self._known(copy)
            # False from `create`: a writer whose lease had run out, thought dead, has come back and was first.
            if known is None and not copy.create(files, record):
                known = copy.record()
            if known is not None:
                self._check_reproduced(copy, known, record.digests)
                copy.restore(files)
        return known or record

    def drop_payload(self, address: str) -> None:
        """Free the payload and keep the record: the artifact is absent, and a recomputation is held against it."""
        for copy in self._candidates(address):
            with suppress(AbsentError, DamagedError):
                copy.record()  # where there is none, nothing is locked
                with self._only_writer(address):
                    copy.drop_payload()

    def lease(self, address: str) -> Lease:
        """A lease on computing an address, not yet taken; leaving its `with` block releases it."""
        prefix_of(address)
        self._claim()
        return self.backend.lease(address)

    def scan(self) -> Iterator[tuple[str, bool]]:
        """Verify every artifact, of whatever lineage: its address, and whether it is sound.

        A record whose payload was dropped is sound; one without some of its files is not. What is corrupt is moved
        aside, and what a killed writer left unfinished is removed.
        """
        for copy in all_copies(self.backend):
            try:
                self._sound(copy)
            except AbsentError as absent:
                if absent.what != "record":
                    yield copy.address, absent.what == "payload"
                    continue
                # a store that can only be read is scanned as well, and this is only tidying
                with suppress(StoreError), self._only_writer(copy.address):
                    copy.remove_unfinished()
            except DamagedError:
                yield copy.address, False
            else:
                yield copy.address, True

    def put_scratch(self, name: str, data: bytes) -> None:
        """Keep or replace a checkpoint of this environment. Raises StoreError if the store cannot be written."""
        self._claim()
        self._checkpoints.put(name, data)

    def get_scratch(self, name: str) -> bytes | None:
        """A checkpoint, its hash verified; None where there is none or it was corrupt (moved aside as `*.bad`)."""
        return self._checkpoints.get(name)

    def drop_scratch(self, name: str) -> None:
        """Remove a checkpoint; nothing happens where there is none."""
        self._checkpoints.drop(name)

    def put_json(self, name: str, value: Any) -> None:
        """Cache a JSON value, such as a probe's answer, for all environments."""
        self._claim()
        self._cached.put(name, value)

    def cached_json(self, name: str) -> Any | None:
        """A cached JSON value; None where there is none or it is corrupt."""
        return self._cached.get(name)

    def _claim(self) -> None:
        """Make the place a store; a distant one is asked once, a folder each time, since it may have been deleted."""
        if not (self._claimed and self.backend.distant):
            claim(self.backend)
            self._claimed = True

    # -- which copy counts ---------------------------------------------------------------------------------------------

    def _candidates(self, address: str) -> list[Copy]:
        """The copies that count under the reuse rule, best first; they need not be there."""
        own = self._copy(address, self._own)
        if self.reuse == "same":
            return [own]
        found = copies_of(self.backend, address, self._cache)
        return [own, *(copy for copy in found if copy.lineage != self._own)]

    def _copy(self, address: str, lineage: str) -> Copy:
        return Copy(self.backend, address, lineage, self._cache)

    def _complete(self, address: str) -> Record | None:
        return next(filter(None, (copy.complete() for copy in self._candidates(address))), None)

    def _swept(self, addresses: Iterable[str], pool: ThreadPoolExecutor) -> dict[str, dict[str, dict[str, int]]]:
        """What lies under the addresses: by address and lineage, sizes by name. Listed in a few sweeps."""
        there: dict[str, dict[str, dict[str, int]]] = {}
        sweeps = sorted({prefix_of(address).rpartition("/")[0] for address in addresses})
        for listed in pool.map(lambda prefix: list(self.backend.list(prefix)), sweeps):
            for name, size in listed:
                address, _, rest = name.partition("/")[2].partition("/")[2].partition("/")
                there.setdefault(address, {}).setdefault(rest.partition("/")[0], {})[name] = size
        return there

    def _complete_in(self, there: Mapping[str, Mapping[str, int]], address: str) -> Record | None:
        """As `_complete`, of what was listed."""
        own = [self._own] if self._own in there else []
        others = (
            () if self.reuse == "same" else sorted(name for name in there if name != self._own and is_lineage(name))
        )
        copies = (self._copy(address, lineage).complete(there[lineage]) for lineage in (*own, *others))
        return next(filter(None, copies), None)

    def _sound(self, copy: Copy) -> Artifact:
        """The artifact of a copy; a damaged one is set aside and DamagedError raised."""
        with suppress(DamagedError):
            return copy.read()
        with self._only_writer(copy.address):
            try:
                return copy.read()  # another process may have mended it meanwhile
            except DamagedError as damage:
                raise DamagedError(f"{damage}; set aside as {copy.set_aside()}") from None

    def _hint(self, address: str, why: str) -> str:
        others = () if self.reuse == "any" else copies_of(self.backend, address)
        if any(copy.lineage != self._own for copy in others):
            return why + " (but it is there from another environment, which `--reuse any` permits)"
        return why

    def _lineage_from(self, parents: Iterable[str]) -> tuple[str, ...]:
        ids = {self._own}
        for parent in parents:
            ids.update(self._served.get(parent) or self._lineage_of(parent))
        return tuple(sorted(ids))

    def _lineage_of(self, address: str) -> tuple[str, ...]:
        # the order in which `get` would serve them
        complete = self._complete(address)
        if complete is not None:
            return complete.lineage
        for copy in self._candidates(address):
            with suppress(AbsentError, DamagedError):
                return copy.record().lineage
        raise LostArtifact(address, "not in the store, and another artifact names it as its parent")

    # -- writing -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _only_writer(self, address: str) -> Iterator[None]:
        """Take turns with the other writers of an address."""
        self._claim()
        with self.backend.lease(f"{address}-write") as lease:
            wait_for(lease, f"{self.backend.place}: artifact {address[:12]}")
            yield

    def _known(self, copy: Copy) -> Record | None:
        try:
            return copy.record()
        except AbsentError:
            return None
        except DamagedError:
            copy.set_aside()
            return None

    def _check_reproduced(self, copy: Copy, known: Record, digests: Mapping[str, str]) -> None:
        differ = sorted(name for name, _ in known.digests.items() ^ digests.items())
        if differ:
            name = differ[0]
            before, now = (side.get(name, "no such file")[:12] for side in (known.digests, digests))
            raise NotReproducedError(
                f"{self.backend.place}: the recomputation of {known.address[:12]} did not reproduce its digest: "
                f'file "{name}" was {before}, is now {now}. Something that changes numbers is in neither the key nor '
                f"the environment; to keep the new one, move {copy.prefix} away and run again."
            )
