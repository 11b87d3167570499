"""Content-addressed artifacts in a folder: atomic, checksummed, shared between processes. No torch at import time.

A *record* names the files of an artifact with their sha256 and seals itself with its own. It is written last: what has
no sound record does not exist. A reader takes no lock, since every file appears whole, by rename. Writers of one
address take turns, so each can sweep what a killed one left behind.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from prunebench.api.errors import LostArtifact, StoreError
from prunebench.api.keys import canonical, digest

if TYPE_CHECKING:
    pass
from prunebench.store.environment import Environment

FORMAT = 1

MARKER = "prunebench-store.json"

RECORD = "record.json"

_ADDRESS = re.compile(r"[0-9a-f]{64}")

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

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


class Lease:
    """The right to compute one address. An operating-system lock: it dies with its process, also on kill -9."""

    def __init__(self, store: Store, address: str) -> None:
        self._store = store
        # one lease may be taken by one thread and released by another
        self._lock = FileLock(store.root / "leases" / f"{_checked(address)}.lock", thread_local=False)

    def try_acquire(self) -> bool:
        """Take the lease if nobody holds it; never waits. True as well where this object holds it already."""
        if self._lock.is_locked:
            return True
        with self._store._writing():
            self._store._claim()
            _make_folder(Path(self._lock.lock_file).parent)
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Give the lease back; nothing happens where it is not held."""
        self._lock.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Store:
    """Artifacts under `root/objects`, checkpoints under `root/scratch`, probes under `root/cache`.

    An artifact counts under `reuse = "same"` if it and all its ancestors were made in `environment`; under "any" each
    counts, those made here first. A missing or empty root becomes a store on the first write.

    Raises: StoreError if the root holds something else, or a store of another format.
    """

    def __init__(self, root: Path, *, environment: Environment, reuse: Literal["same", "any"] = "same") -> None:
        self.root = Path(os.path.abspath(root))
        self.environment = environment
        self.reuse = reuse
        self._own = environment.id
        self._is_store()
        # A child's lineage follows the parent that was read. A better one may have appeared since.
        self._served: dict[str, tuple[str, ...]] = {}

    def has(self, address: str) -> bool:
        """Whether the artifact counts and its files are there in their sizes. Hashes no payload."""
        return any(self._is_complete(folder, address) for folder in self._candidates(address))

    def get(self, address: str) -> Artifact:
        """The artifact, every hash verified.

        Raises: LostArtifact if it is absent, its payload was dropped, or it is corrupt; what is corrupt is moved aside
            as `*.bad`. StoreError if the store cannot be read, or the corrupt artifact cannot be moved.
        """
        why = "not in the store"
        for folder in self._candidates(address):
            try:
                artifact = self._sound(folder, address)
            except (_Absent, _Damaged) as reason:
                why = str(reason)
            else:
                self._served[address] = artifact.lineage
                return artifact
        if self.reuse == "same" and set(self._lineages(address)) - {self._own}:
            why += " (but it is there from another environment, which `--reuse any` permits)"
        raise LostArtifact(address, why)

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
        folder = self._place(address) / _lineage_name(lineage)
        digests = {_plain(name): hashlib.sha256(data).hexdigest() for name, data in files.items()}
        new = _as_read(
            {
                "address": address,
                "environment": dict(self.environment.fields),
                "files": {name: {"sha256": digests[name], "size": len(data)} for name, data in files.items()},
                "lineage": lineage,
                "meta": meta,
                "parents": parents,
            }
        )
        with self._locked(address):
            known = self._known(folder, address)
            if known is not None:
                self._check_reproduced(folder, known, digests)
            try:
                self._write_payload(folder, files, keep=known is not None)
                if known is None:
                    _write(folder / RECORD, _seal(new))
                    _sync_folder(folder)
            except BaseException:
                if not (folder / RECORD).exists():
                    shutil.rmtree(folder, ignore_errors=True)
                raise
        self._served[address] = lineage
        return Artifact(address, dict(files), (known or new)["meta"], lineage, digests)

    def drop_payload(self, address: str) -> None:
        """Free the payload and keep the record: the artifact is absent, and a recomputation is held against it."""
        for folder in filter(Path.exists, self._candidates(address)):
            with suppress(_Absent, _Damaged), self._locked(address):
                for name in self._record(folder, address)["files"]:
                    (folder / name).unlink(missing_ok=True)

    def lease(self, address: str) -> Lease:
        """A lease on computing an address, not yet taken; leaving its `with` block releases it."""
        return Lease(self, address)

    def scan(self) -> Iterator[tuple[str, bool]]:
        """Verify every artifact, of whatever lineage: its address, and whether it is sound.

        A record whose payload was dropped is sound; one without some of its files is not. What is corrupt is moved
        aside, and what a killed writer left unfinished is removed.
        """
        objects = self.root / "objects"
        addresses = [name for shard in _names(objects) for name in _names(objects / shard)]
        for address in sorted(filter(_ADDRESS.fullmatch, addresses)):
            for name in self._lineages(address):
                folder = self._place(address) / name
                try:
                    self._sound(folder, address)
                except _Absent as absent:
                    if absent.what == "record":
                        self._remove_unfinished(folder, address)
                    else:
                        yield address, absent.what == "payload"
                except _Damaged:
                    yield address, False
                else:
                    yield address, True

    def put_scratch(self, name: str, data: bytes) -> None:
        """Keep or replace a checkpoint of this environment. Raises StoreError if the store cannot be written."""
        path = self._scratch(name)
        with self._locked(path.name):
            self._replace(path, _scratch_seal(path, data), b"\n", data)

    def get_scratch(self, name: str) -> bytes | None:
        """A checkpoint, its hash verified; None where there is none or it was corrupt (moved aside as `*.bad`)."""
        path = self._scratch(name)
        with suppress(_Damaged):
            return _read_scratch(path)
        with self._locked(path.name):
            try:
                return _read_scratch(path)  # another process may have replaced it meanwhile
            except _Damaged:
                _set_aside(path)
                return None

    def drop_scratch(self, name: str) -> None:
        """Remove a checkpoint; nothing happens where there is none."""
        path = self._scratch(name)
        if path.parent.exists():
            with self._locked(path.name):
                path.unlink(missing_ok=True)
                _sweep(path.parent, path.name)

    def put_json(self, name: str, value: Any) -> None:
        """Cache a JSON value, such as a probe's answer, for all environments."""
        path = self._cache(name)
        with self._locked(path.name):
            self._replace(path, _seal(_as_read({"name": name, "value": value})))

    def cached_json(self, name: str) -> Any | None:
        """A cached JSON value; None where there is none or it is corrupt."""
        data = _content(self._cache(name))
        kept = None if data is None else _unseal(data)
        return kept["value"] if isinstance(kept, dict) and kept.get("name") == name else None

    # -- where things lie ----------------------------------------------------------------------------------------------

    def _place(self, address: str) -> Path:
        return self.root / "objects" / _checked(address)[:2] / address

    def _scratch(self, name: str) -> Path:
        # by environment: a checkpoint resumed elsewhere would mix lineages unseen
        return self.root / "scratch" / self._own / hashlib.sha256(name.encode()).hexdigest()

    def _cache(self, name: str) -> Path:
        return self.root / "cache" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _lineages(self, address: str) -> list[str]:
        return sorted(filter(_LINEAGE_NAME.fullmatch, _names(self._place(address))))

    def _candidates(self, address: str) -> list[Path]:
        """The folders that count under the reuse rule, best first; they need not exist."""
        others = [name for name in self._lineages(address) if name != self._own] if self.reuse == "any" else []
        return [self._place(address) / name for name in (self._own, *others)]

    # -- reading -------------------------------------------------------------------------------------------------------

    def _record(self, folder: Path, address: str) -> dict[str, Any]:
        data = _content(folder / RECORD)
        if data is None:
            raise _Absent("not in the store", "record")
        record = _unseal(data)
        if not isinstance(record, dict):
            raise _Damaged("its record is damaged")
        if record.get("address") != address or _lineage_name(record["lineage"]) != folder.name:
            raise _Damaged("its folder holds the record of another artifact")
        return record

    def _read(self, folder: Path, address: str) -> Artifact:
        record = self._record(folder, address)
        digests = {name: entry["sha256"] for name, entry in record["files"].items()}
        files = {}
        for name, sha256 in digests.items():
            data = _content(folder / name)
            if data is None:
                continue
            if hashlib.sha256(data).hexdigest() != sha256:
                raise _Damaged(f'file "{name}" does not have its recorded hash')
            files[name] = data
        gone = sorted(digests.keys() - files.keys())
        if gone:
            raise _Absent(f"only its record is kept; gone: {', '.join(gone)}", "some files" if files else "payload")
        return Artifact(address, files, record["meta"], tuple(record["lineage"]), digests)

    def _sound(self, folder: Path, address: str) -> Artifact:
        """The artifact of a folder; a damaged one is set aside and _Damaged raised."""
        with suppress(_Damaged):
            return self._read(folder, address)
        with self._locked(address):
            try:
                return self._read(folder, address)  # another process may have mended it meanwhile
            except _Damaged as damage:
                raise _Damaged(f"{damage}; set aside as {_set_aside(folder)}") from None

    def _is_complete(self, folder: Path, address: str) -> bool:
        try:
            record = self._record(folder, address)
            return all(os.stat(folder / name).st_size == entry["size"] for name, entry in record["files"].items())
        except (_Absent, _Damaged, OSError):
            return False

    def _lineage_from(self, parents: Iterable[str]) -> tuple[str, ...]:
        ids = {self._own}
        for parent in parents:
            ids.update(self._served.get(parent) or self._lineage_of(parent))
        return tuple(sorted(ids))

    def _lineage_of(self, address: str) -> tuple[str, ...]:
        # the order in which `get` would serve them
        for folder in sorted(self._candidates(address), key=lambda folder: not self._is_complete(folder, address)):
            with suppress(_Absent, _Damaged):
                return tuple(self._record(folder, address)["lineage"])
        raise LostArtifact(address, "not in the store, and another artifact names it as its parent")

    # -- writing -------------------------------------------------------------------------------------------------------

    def _is_store(self) -> bool:
        """Whether the root is marked as a store; False where one may be made."""
        # Listed before the marker is read: the marker comes first, so whatever a store holds, it holds a marker.
        foreign = [name for name in _names(self.root) if not name.startswith(f".{MARKER}.")]
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"{self.root}: not a folder. Name an empty or a new folder with --store.")
        marker = _content(self.root / MARKER)
        if marker is None:
            if foreign:
                raise StoreError(
                    f"{self.root}: not a prunebench store: it holds {min(foreign)!r} and no {MARKER}. "
                    "Name an empty or a new folder with --store."
                )
            return False
        try:
            found = json.loads(marker)["format"]
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                f'{self.root}: {MARKER} is damaged. Write {{"format": {FORMAT}}} into it if this is a prunebench store.'
            ) from None
        if found != FORMAT:
            raise StoreError(
                f"{self.root}: a store of format {found}; this prunebench knows format {FORMAT}. "
                "Use the prunebench that made it, or name another folder with --store."
            )
        return True

    def _claim(self) -> None:
        _make_folder(self.root)
        if not self._is_store():
            _write(self.root / MARKER, canonical({"format": FORMAT}).encode())
            _sync_folder(self.root)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                advice = "Free some space and run again"
            elif error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
                advice = "Make the folder writable and run again"
            else:
                advice = "Mend it and run again"
            raise StoreError(
                f"{self.root}: cannot write to the store: {error.strerror or error}. "
                f"{advice} (nothing finished is lost), or name another folder with --store."
            ) from error

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold the lock of the writers of `name`; there are 256, not one for each name."""
        with self._writing():
            self._claim()
            folder = self.root / "locks"
            _make_folder(folder)
            with FileLock(folder / f"{name[:2]}.lock").acquire(poll_interval=0.005):
                yield

    def _known(self, folder: Path, address: str) -> dict[str, Any] | None:
        try:
            return self._record(folder, address)
        except _Absent:
            return None
        except _Damaged:
            _set_aside(folder)
            return None

    def _check_reproduced(self, folder: Path, known: Mapping[str, Any], digests: Mapping[str, str]) -> None:
        recorded = {name: entry["sha256"] for name, entry in known["files"].items()}
        differ = sorted(name for name, _ in recorded.items() ^ digests.items())
        if differ:
            name = differ[0]
            before, now = (side.get(name, "no such file")[:12] for side in (recorded, digests))
            raise StoreError(
                f"{self.root}: the recomputation of {known['address'][:12]} did not reproduce its digest: "
                f'file "{name}" was {before}, is now {now}. Something that changes numbers is in neither the key nor '
                f"the environment; to keep the new one, move {folder.relative_to(self.root)} away and run again."
            )

    def _write_payload(self, folder: Path, files: Mapping[str, bytes], *, keep: bool) -> None:
        if keep:
            _sweep(folder)
        elif folder.exists():
            shutil.rmtree(folder)  # without a record it is what a killed writer left
        _make_folder(folder)
        for name, data in files.items():
            if not (keep and _content(folder / name) == data):
                _write(folder / name, data)
        _sync_folder(folder)

    def _replace(self, path: Path, *chunks: bytes) -> None:
        _make_folder(path.parent)
        _sweep(path.parent, path.name)
        _write(path, *chunks)
        _sync_folder(path.parent)

    def _remove_unfinished(self, folder: Path, address: str) -> None:
        # a store that can only be read is scanned as well, and this is only tidying
        with suppress(StoreError), self._locked(address):
            if not (folder / RECORD).exists():
                shutil.rmtree(folder, ignore_errors=True)


class _Absent(Exception):
    """Nothing to read, and nothing wrong with what is there: no record, no payload, or only some of its files."""

    def __init__(self, why: str, what: Literal["record", "payload", "some files"]) -> None:
        self.what = what
        super().__init__(why)


class _Damaged(Exception):
    """What is there is not what was written."""


def _checked(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is not an address: 64 lower-case hex digits")
    return address


def _plain(name: str) -> str:
    if name == RECORD or name.endswith((".tmp", ".bad")) or not _FILE_NAME.fullmatch(name):
        raise ValueError(f'{name!r} cannot name a file of an artifact: letters, digits, "_", "-" and "."')
    return name


def _lineage_name(lineage: Iterable[str]) -> str:
    ids = sorted(lineage)
    return ids[0] if len(ids) == 1 else f"mixed-{digest(ids)[:16]}"


def _as_read(value: Any) -> Any:
    """A value as JSON gives it back: tuples are lists, keys are strings. Raises ValueError on NaN."""
    return json.loads(canonical(value))


def _seal(value: Any) -> bytes:
    return canonical({"content": value, "sha256": digest(value)}).encode() + b"\n"


def _unseal(data: bytes) -> Any | None:
    """The sealed value; None if a single byte differs."""
    try:
        value = json.loads(data)["content"]
        return value if _seal(value) == data else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _scratch_seal(path: Path, data: bytes) -> bytes:
    sha256 = hashlib.sha256("/".join(path.parts[-2:]).encode())  # its place is sealed too, so a swap is found
    sha256.update(data)
    return sha256.hexdigest().encode()


def _read_scratch(path: Path) -> bytes | None:
    content = _content(path)
    if content is None:
        return None
    data = content[65:]
    if content[:65] != _scratch_seal(path, data) + b"\n":
        raise _Damaged("the checkpoint does not have its hash")
    return data


def _content(path: Path) -> bytes | None:
    """A file's bytes; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EIO:
            return b""  # a bad sector is a corrupt file: its hash fails, and it is set aside
        raise StoreError(f"{path}: cannot read the store: {error.strerror}. Make it readable and run again.") from error


def _names(folder: Path) -> list[str]:
    """The names in a folder; none where there is no folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"{folder}: cannot read the store: {error.strerror}. Make it readable.") from error


def _write(path: Path, *chunks: bytes) -> None:
    """Let a file appear whole. The caller syncs its folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep(folder: Path, name: str = "") -> None:
    """Remove what killed writers left, of one name or of all. Only under the lock of that name."""
    for left in _names(folder):
        if left.startswith(f".{name}") and left.endswith(".tmp"):
            (folder / left).unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_aside(path: Path) -> str:
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.bad")
    os.rename(path, aside)
    return aside.name
