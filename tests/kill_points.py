"""Work that is killed, or finds the disk full, before each of its calls that change files in turn."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from prunebench import PrunebenchError

CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.fsync"})
"""Audit events of calls that change files, beside "open" for writing; "os.fsync" is added here."""
NEED_ROOM = frozenset({"open", "os.mkdir", "os.link", "os.fsync"})
LIVED, FAILED, KILLED, TOLD = 0, 1, 9, 7
MOST = 500
SYNC = "fsync"


def killed_at_each(work: Callable[[int], object]) -> Iterator[int]:
    """Do the work in a process that dies before its n-th change of a file, for each n until it lives to the end.

    Args:
        work: is told n, the number of changes that are made.
    Yields: n, after each death.
    """
    for step in range(MOST):
        ended = _child(step, lambda step=step: work(step), lambda event: os._exit(KILLED))  # type: ignore[misc]
        assert ended in (LIVED, KILLED)
        yield step
        if ended == LIVED:
            return
    raise AssertionError("it does not end")


def full_disk_at_each(work: Callable[[int], object]) -> Iterator[int]:
    """As `killed_at_each`, but from the n-th change on there is no more room; an error other than ours is a failure."""

    def full(event: str) -> None:
        if event in NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for step in range(MOST):
        ended = _child(step, lambda step=step: work(step), full)  # type: ignore[misc]
        assert ended in (LIVED, TOLD)
        yield step
        if ended == LIVED:
            return
    raise AssertionError("it does not end")


def _child(step: int, work: Callable[[], object], then: Callable[[str], None]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left, code = step, FAILED

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            left -= 1
            if left < 0:
                then(event)

    def synced(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        sys.audit("os.fsync", handle)
        sync(handle)

    try:
        setattr(os, SYNC, synced)
        sys.addaudithook(watch)
        work()
        code = LIVED
    except PrunebenchError as error:
        code = TOLD if os.strerror(errno.ENOSPC) in str(error) else FAILED
        if code == FAILED:
            os.write(2, f"{error}\n".encode())
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)
