"""A folder for what is in the making, beside its place; one whose process was killed goes when the next is made."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prunebench.kernels.locks import left_behind

PREFIX = ".prunebench-"


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A new folder below `beside`, which is made where it is not there; gone at the end of the block.

    It is locked as long as its process lives: whoever can lock one may remove it. Where a file system has no locks on
    folders (NFS), what a killed process left stays.

    Raises: OSError if it cannot be made.
    """
    beside.mkdir(parents=True, exist_ok=True)
    for left in beside.glob(f"{PREFIX}*"):
        _remove_if_dead(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError), left_behind(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW):
        shutil.rmtree(folder, ignore_errors=True)
