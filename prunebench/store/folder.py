"""Blobs as files of a folder: each appears whole, by a link or a rename, after it was synced."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from prunebench.api.errors import StoreError
from prunebench.kernels.locks import left_behind
from prunebench.store.backend import LARGEST_JSON, Holder, UnreadableError, checked_blob_name
from prunebench.store.claims import LEASE_SECONDS
from prunebench.store.leases import FileLease
from prunebench.store.mounts import network_file_system
from prunebench.store.network_leases import NetworkFileLease
from prunebench.store.turns import wait_for

if TYPE_CHECKING:
    from filelock import SoftFileLease

LEASES = "leases"
"""The folder of the leases; `locks` is that of an earlier version."""

_HIDDEN = (LEASES, "locks")

_TEMPORARY = re.compile(r"\..*\.tmp")

_NO_BLOB = (errno.EIO, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR)
"""Errors of reading that say that one file is damaged, and nothing of the others."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

DEPTH = 8
"""A blob's name has fewer parts: deeper folders are a loop of symbolic links, or nobody's."""

LEFT_SECONDS = 86_400.0
"""How old a temporary file is before a writer on another machine counts as ended."""

TRIES = 5
"""How often a write is begun again when another process removes the folder that it writes to."""


class FolderBackend:
    """A store in a folder; see Backend. A missing root is made by the first write.

    Args:
        leases: "lock" for the operating system's locks, which end with their process; "heartbeat" for files that their
            holder touches, on a network file system, where locks may not reach other machines. By default
            $PRUNEBENCH_STORE_LEASES, or as the folder's file system needs it.
        lease_seconds: how long a lease by heartbeat outlives the last sign of its holder.
    Raises: StoreError if the root is no folder.
    """

    distant = False

    def __init__(
        self,
        root: Path | str,
        *,
        leases: Literal["lock", "heartbeat"] | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.root = os.path.abspath(root)
        self._leases, self._lease_seconds = leases, lease_seconds
        self._watched: dict[str, SoftFileLease] = {}
        if os.path.lexists(self.root) and not os.path.isdir(self.root):
            raise StoreError(f"{self.root}: not a folder. Name an empty or a new folder with --store.")

    @property
    def place(self) -> str:
        """See Backend.place."""
        return self.root

    @cached_property
    def leases_expire(self) -> bool:
        """See Backend.leases_expire."""
        kind = self._leases or os.environ.get("PRUNEBENCH_STORE_LEASES") or None
        if kind not in (None, "lock", "heartbeat"):
            raise StoreError(f'PRUNEBENCH_STORE_LEASES: {kind!r} is neither "lock" nor "heartbeat".')
        return network_file_system(self.root) is not None if kind is None else kind == "heartbeat"

    def read(self, name: str, size: int | None = None) -> bytes | None:
        """See Backend.read. Only regular files are read, so that a pipe in a file's place keeps nobody waiting."""
        path = self._path(name)
        with self._reading(path, blob=True):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                found = os.fstat(handle)
                if not stat.S_ISREG(found.st_mode):
                    raise UnreadableError("it is not a regular file")
                if size is not None and found.st_size != size:
                    raise UnreadableError(f"it has {found.st_size:,} bytes of {size:,}")
                if size is None and found.st_size > _most(name):  # a file of holes may be larger than its disk
                    raise UnreadableError(f"it has {found.st_size:,} bytes, which no such file has")
                return FileIO(handle, closefd=False).readall()
            finally:
                os.close(handle)

    def create(self, name: str, data: bytes) -> bool:
        """See Backend.create."""
        path = self._path(name)
        with self._writing(path):
            if os.path.lexists(path):
                return False
            created = self._written(path, data, lambda temporary: _linked(temporary, path))
            if created is None:
                with self.lease(f"create/{name.replace('/', '-')}") as lease:
                    wait_for(lease, path)
                    created = not os.path.lexists(path) and self._written(path, data, _renamed_to(path))
            _sync_folder(os.path.dirname(path))
            return bool(created)

    def replace(self, blobs: Mapping[str, bytes]) -> None:
        """See Backend.replace."""
        paths = {name: self._path(name) for name in blobs}
        for name, path in paths.items():
            with self._writing(path):
                if os.path.isdir(path):
                    raise OSError(errno.EISDIR, "a folder lies where the store keeps a file", path)
                self._written(path, blobs[name], _renamed_to(path))
        for folder in dict.fromkeys(map(os.path.dirname, paths.values())):
            with self._writing(folder):
                _sync_folder(folder)

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See Backend.list."""
        folders = [self._path(prefix) if prefix else self.root]
        while folders:
            folder = folders.pop()
            with self._reading(folder, blob=False):
                try:
                    entries = list(os.scandir(folder))
                except (FileNotFoundError, NotADirectoryError):
                    continue
            below = folder[len(self.root) + 1 :]
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                if _TEMPORARY.fullmatch(entry.name):
                    self._remove_if_dead(entry.path)
                elif entry.name.endswith(".bad") or name in _HIDDEN:
                    continue
                elif _is_folder(entry):
                    if name.count("/") < DEPTH:
                        folders.append(entry.path)
                else:
                    yield name, _size(entry)

    def remove(self, name: str) -> None:
        """See Backend.remove."""
        path = self._path(name)
        with self._writing(path):
            while os.path.lexists(path):
                # What another process removes at the same time is as gone as it should be.
                with suppress(FileNotFoundError, NotADirectoryError):
                    if os.path.isdir(path) and not os.path.islink(path):
                        shutil.rmtree(path)
                    else:
                        os.unlink(path)

    def set_aside(self, name: str) -> str | None:
        """See Backend.set_aside."""
        path = self._path(name)
        aside = f"{path}.{secrets.token_hex(4)}.bad"
        with self._writing(path):
            try:
                os.rename(path, aside)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return os.path.basename(aside)

    def lease(self, name: str) -> FolderLease:
        """See Backend.lease."""
        path = f"{self._path(f'{LEASES}/{name}')}.lock"
        if self.leases_expire:
            return FolderLease(self, path, NetworkFileLease(path, self._watched, self._lease_seconds))
        return FolderLease(self, path, FileLease(path))

    # -- paths and errors ----------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self.root}/{checked_blob_name(name)}"

    @contextmanager
    def _reading(self, path: str, *, blob: bool) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if blob and error.errno in _NO_BLOB:
                raise UnreadableError(error.strerror) from error
            raise StoreError(
                f"{path}: cannot read the store: {error.strerror or error}. Make it readable and run again, or name "
                "another folder with --store."
            ) from error

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            obstacle = self._obstacle(path)
            if obstacle is not None:
                raise StoreError(
                    f"{obstacle}: a file lies where the store keeps a folder. Move it away and run again, or name "
                    "another folder with --store."
                ) from error
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                advice = "Free some space and run again"
            elif error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
                advice = "Make the folder writable and run again"
            else:
                advice = "Mend it and run again"
            where = f" ({error.filename})" if error.filename else ""
            raise StoreError(
                f"{self.root}: cannot write to the store: {error.strerror or error}{where}. "
                f"{advice} (nothing finished is lost), or name another folder with --store."
            ) from error

    def _obstacle(self, path: str) -> str | None:
        """The file that lies in place of one of the folders above a path."""
        with suppress(OSError):
            while len(path) > len(self.root):
                path = os.path.dirname(path)
                if os.path.lexists(path):
                    return None if os.path.isdir(path) else path
        return None

    # -- writing -------------------------------------------------------------------------------------------------------

    def _written(self, path: str, data: bytes, publish: Callable[[str], bool | None]) -> bool | None:
        """Write a synced temporary file beside `path` and publish it; what `publish` returns."""
        folder, base = os.path.split(path)
        for left in reversed(range(TRIES)):
            try:
                _make_folder(folder)
                with _temporary_file(folder, base, data) as temporary:
                    done = publish(temporary)
                break
            except FileNotFoundError:
                if not left:
                    raise
        with suppress(OSError):
            for entry in os.scandir(folder):
                if _TEMPORARY.fullmatch(entry.name):
                    self._remove_if_dead(entry.path)
        return done

    def _remove_if_dead(self, path: str) -> None:
        """Remove a temporary file whose writer has ended; this is only tidying, so errors are nobody's concern."""
        with suppress(OSError):
            if self.leases_expire:
                # Locks may not reach a writer on another machine; no write takes so long.
                if time.time() - os.stat(path).st_mtime > LEFT_SECONDS:
                    os.unlink(path)
                return
            with left_behind(path, os.O_RDWR | os.O_NONBLOCK):
                os.unlink(path)


class FolderLease:
    """A lease of a folder; see Lease."""

    def __init__(self, backend: FolderBackend, path: str, inner: FileLease | NetworkFileLease) -> None:
        self._backend, self._path, self._inner = backend, path, inner

    def try_acquire(self) -> bool:
        """See Lease.try_acquire."""
        with self._backend._writing(self._path):
            _make_folder(os.path.dirname(self._path))
            return self._inner.try_acquire()

    def holder(self) -> Holder | None:
        """See Lease.holder."""
        return self._inner.holder()

    def release(self) -> None:
        """See Lease.release."""
        self._inner.release()

    def __enter__(self) -> FolderLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _most(name: str) -> int:
    """Bytes of the largest blob that may lie under a name where its size is not known."""
    return LARGEST_JSON if name.endswith(".json") else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _linked(temporary: str, path: str) -> bool | None:
    """Give a file its name unless that is taken; None where the file system has no links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return None
        raise
    return True


def _renamed_to(path: str) -> Callable[[str], bool]:
    def publish(temporary: str) -> bool:
        os.replace(temporary, path)
        return True

    return publish


@contextmanager
def _temporary_file(folder: str, base: str, data: bytes) -> Iterator[str]:
    """A synced file with this content, gone afterwards unless it was renamed."""
    path = f"{folder}/.{base}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        # Locked as long as its writer lives: whoever can lock a temporary file may remove it.
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
        yield path
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(handle)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a regular file; -1 of anything else, and of what has gone meanwhile."""
    try:
        found = entry.stat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _make_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        _make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
        _sync_folder(os.path.dirname(folder))


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
