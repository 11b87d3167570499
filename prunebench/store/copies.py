"""A copy of an artifact: what one lineage made under an address. Its record is written last and read first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from prunebench.api.errors import StoreError
from prunebench.store.backend import Backend, UnreadableError
from prunebench.store.payload_cache import PayloadCache
from prunebench.store.records import Record, lineage_name

RECORD = "record.json"

_ADDRESS = re.compile(r"[0-9a-f]{64}")

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,149}")

_LINEAGE_NAME = re.compile(r"(mixed-)?[0-9a-f]{16}")


@dataclass(frozen=True)
class Artifact:
    """What a phase left behind.

    Args:
        address: 64 hex digits.
        files: payload by plain file name.
        meta: JSON.
        lineage: sorted environment ids of this artifact and all its ancestors.
        digests: sha256 of each file, in hex.
    """

    address: str
    files: Mapping[str, bytes]
    meta: dict[str, Any]
    lineage: tuple[str, ...]
    digests: Mapping[str, str]


class AbsentError(Exception):
    """Nothing to read, and nothing wrong with what is there: no record, no payload, or only some of its files."""

    def __init__(self, why: str, what: Literal["record", "payload", "some files"]) -> None:
        self.what = what
        super().__init__(why)


class DamagedError(Exception):
    """What is there is not what was written."""


class Copy:
    """An artifact of one lineage, below the prefix `objects/ab/ADDRESS/LINEAGE`. It need not be there."""

    def __init__(self, backend: Backend, address: str, lineage: str, cache: PayloadCache | None = None) -> None:
        self._backend, self.address, self.lineage, self._cache = backend, address, lineage, cache
        self.prefix = f"{prefix_of(address)}/{lineage}"

    def record(self) -> Record:
        """Its record. Raises AbsentError; DamagedError if a byte of it changed, or it is another artifact's."""
        data = self._blob(RECORD)
        if data is None:
            raise AbsentError("not in the store", "record")
        record = Record.opened(data)
        if record is None:
            raise DamagedError("its record is damaged")
        if record.address != self.address or lineage_name(record.lineage) != self.lineage:
            raise DamagedError("its folder holds the record of another artifact")
        return record

    def complete(self, there: Mapping[str, int] | None = None) -> Record | None:
        """Its record, if all files of the payload are there in their sizes; hashes none of them.

        Args:
            there: sizes by name of what lies below the prefix, where the caller has just listed it.
        """
        with suppress(AbsentError, DamagedError):
            record = self.record()
            if there is None:
                there = dict(self._backend.list(self.prefix))
            if all(there.get(f"{self.prefix}/{name}") == size for name, size in record.sizes.items()):
                return record
        return None

    def read(self) -> Artifact:
        """All of it, every hash verified. Raises AbsentError and DamagedError."""
        record = self.record()
        return Artifact(self.address, self.payload(record), record.meta, record.lineage, record.digests)

    def payload(self, record: Record) -> dict[str, bytes]:
        """The files that its record names, every hash verified. Raises AbsentError and DamagedError."""
        files = {}
        for name, sha256 in record.digests.items():
            data = None if self._cache is None else self._cache.get(sha256, record.sizes[name])
            if data is None:
                data = self._blob(name, record.sizes[name])
                if data is None:
                    continue
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise DamagedError(f'file "{name}" does not have its recorded hash')
                if self._cache is not None:
                    self._cache.put(sha256, data)
            files[name] = data
        gone = sorted(record.digests.keys() - files.keys())
        if gone:
            what: Literal["some files", "payload"] = "some files" if files else "payload"
            raise AbsentError(f"only its record is kept; gone: {', '.join(gone)}", what)
        return files

    # Changed only by one writer of the address at a time.

    def create(self, files: Mapping[str, bytes], record: Record) -> bool:
        """Write payload and record, all of it or nothing; False where another writer's record came first."""
        try:
            if self._backend.leases_expire:
                self._write_beside(files)
            else:
                self._backend.remove(self.prefix)  # without a record it is what a killed writer left
                self._write(files)
            return self._backend.create(f"{self.prefix}/{RECORD}", record.sealed())
        except BaseException:
            with suppress(StoreError):
                self.remove_unfinished()
            raise

    def restore(self, files: Mapping[str, bytes]) -> None:
        """Write those files of the payload that are gone or not as they should be."""
        there = dict(self._backend.list(self.prefix))
        self._write({n: d for n, d in files.items() if f"{self.prefix}/{n}" not in there or not self._is_kept(n, d)})

    def drop_payload(self) -> None:
        """Remove all but the record."""
        for name in self.record().sizes:
            self._backend.remove(f"{self.prefix}/{name}")

    def set_aside(self) -> str | None:
        """Move it to where no reader looks; its new name."""
        return self._backend.set_aside(self.prefix)

    def remove_unfinished(self) -> None:
        """Remove what a writer left that did not get as far as the record."""
        record, there = f"{self.prefix}/{RECORD}", [name for name, _ in self._backend.list(self.prefix)]
        with suppress(DamagedError):
            if self._blob(RECORD) is not None:
                return
            if not self._backend.leases_expire:
                self._backend.remove(self.prefix)
                return
            # Never the record: it would be that of a writer to whom this lease was given meanwhile.
            for name in there:
                if name != record:
                    self._backend.remove(name)

    def _blob(self, name: str, size: int | None = None) -> bytes | None:
        try:
            return self._backend.read(f"{self.prefix}/{name}", size)
        except UnreadableError as error:
            raise DamagedError(f'file "{name}" cannot be read: {error}') from None

    def _is_kept(self, name: str, data: bytes) -> bool:
        with suppress(DamagedError):
            return self._blob(name, len(data)) == data
        return False

    def _write_beside(self, files: Mapping[str, bytes]) -> None:
        """Write a payload where another writer, thought dead, may come back at any moment, or be the next one.

        Nothing is written over that a record might name: the payload is create-only as the record is. Only what a
        killed writer left, which has other bytes and no record, is replaced.
        """
        for name, data in files.items():
            if not self._backend.create(f"{self.prefix}/{name}", data) and not self._is_kept(name, data):
                if self._blob(RECORD) is not None:
                    return
                self._write({name: data})

    def _write(self, files: Mapping[str, bytes]) -> None:
        if files:
            self._backend.replace({f"{self.prefix}/{name}": data for name, data in files.items()})


def prefix_of(address: str) -> str:
    """Where the copies of an artifact lie. Raises ValueError if it is not an address."""
    if not is_address(address):
        raise ValueError(f"{address!r} is not an address: 64 lower-case hex digits")
    return f"objects/{address[:2]}/{address}"


def copies_of(backend: Backend, address: str, cache: PayloadCache | None = None) -> list[Copy]:
    """Every copy of an artifact, by lineage; some may be unfinished."""
    prefix = prefix_of(address)
    lineages = {name[len(prefix) + 1 :].partition("/")[0] for name, _ in backend.list(prefix)}
    return [Copy(backend, address, lineage, cache) for lineage in sorted(filter(is_lineage, lineages))]


def is_address(name: str) -> bool:
    """Whether a folder's name is an address."""
    return _ADDRESS.fullmatch(name) is not None


def is_lineage(name: str) -> bool:
    """Whether a folder's name is that of a lineage."""
    return _LINEAGE_NAME.fullmatch(name) is not None


def all_copies(backend: Backend) -> list[Copy]:
    """Every copy of every artifact, by address and lineage; some may be unfinished."""
    found = set()
    for name, _ in backend.list("objects"):
        _, _, address, lineage, *_ = (*name.split("/"), "", "", "")
        if is_address(address) and is_lineage(lineage):
            found.add((address, lineage))
    return [Copy(backend, address, lineage) for address, lineage in sorted(found)]


def checked_name(name: str) -> str:
    """A file name of a payload. Raises ValueError on one that could leave its folder or hide there."""
    if name == RECORD or name.endswith((".tmp", ".bad")) or not _FILE_NAME.fullmatch(name):
        raise ValueError(f'{name!r} cannot name a file of an artifact: letters, digits, "_", "-" and "."')
    return name
