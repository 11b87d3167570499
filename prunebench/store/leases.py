"""Leases of a folder: locks of the operating system, which die with their process, and a note of who holds them."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from contextlib import suppress
from types import TracebackType

from prunebench.api.errors import StoreError
from prunebench.store.backend import Holder

NOTE_BYTES = 4096
"""More than a holder's note takes."""


class FileLease:
    """A lease as a lock on a file; the file holds the note of its holder, and goes when the lease is given back.

    It may be taken by one thread and released by another. Not inherited by programs that the process starts.

    Raises: OSError where the folder cannot be written; StoreError where something else lies in the file's place.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def try_acquire(self) -> bool:
        """See Lease.try_acquire. The folder must be there."""
        if self._handle is not None:
            return True
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise StoreError(f"{self._path}: not a regular file. Remove it and run again.")
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(handle):
                    note = json.dumps(Holder(os.getpid(), socket.gethostname(), time.time()).to_json())
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, note.encode(), 0)
                    self._handle, handle = handle, -1
                    return True
                # Its last holder removed the file between our opening and our locking it: whoever comes next makes a
                # new one, so this lock excludes nobody.
            except BlockingIOError:
                return False
            finally:
                if handle >= 0:
                    os.close(handle)

    def holder(self) -> Holder | None:
        """See Lease.holder."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            return Holder.from_json(json.loads(os.read(handle, NOTE_BYTES)))
        except (OSError, ValueError, RecursionError):
            return None  # it is being written, or an older version left it empty
        finally:
            os.close(handle)

    def release(self) -> None:
        """See Lease.release."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            with suppress(OSError):
                if self._is_there(handle):
                    os.unlink(self._path)
        finally:
            os.close(handle)

    def _is_there(self, handle: int) -> bool:
        """Whether the path still names the file that was opened."""
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def __enter__(self) -> FileLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
