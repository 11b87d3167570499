"""Locks on files and folders that end with their process: whoever can take one knows that its holder is gone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_locked(handle: int, path: Path) -> bool:
    """Lock what was opened; whether this process has it now, and it still lies at its path.

    Its last holder may have removed it, or renamed it, between our opening and our locking it. Where a file system has
    no locks nobody waits.

    Raises: OSError if the path cannot be looked at.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(path))
    return False


@contextmanager
def left_behind(path: str | Path, flags: int) -> Iterator[int]:
    """Open and lock what a process left that has ended; the handle.

    Raises: OSError if it cannot be opened, its process lives, or the file system has no locks.
    """
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    finally:
        os.close(handle)
