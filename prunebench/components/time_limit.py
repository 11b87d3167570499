"""A limit for components that do not return while a file is read and planned, and for trackers and reports."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SECONDS = 60.0
"""How long one call of a component may take, unless `$PRUNEBENCH_HOOK_SECONDS` says otherwise."""


IDLE = 0.02
"""A call that had a processor for no more of its time than this waits for something that does not come."""
BUSY = 0.25
"""A call that takes longer than the limit takes too long once it had a processor for this share of the limit."""


PATIENCE = 2
"""How often a call may catch what ends it, and go on, before the process is ended."""


class HookTimeout(BaseException):
    """A component did not return. No Exception, since it may catch those in the very loop that does not end."""


def limited(call: Callable[[], T]) -> T:
    """What a call of a component's gives. Inside of `watched` it is ended by HookTimeout if it takes too long."""
    return call()


def hook_seconds() -> float:
    """`$PRUNEBENCH_HOOK_SECONDS`, a number above 0, or 60."""
    try:
        seconds = float(os.environ.get("PRUNEBENCH_HOOK_SECONDS", SECONDS))
    except ValueError:
        return SECONDS
    return seconds if 0 < seconds < 1e9 else SECONDS


def gets_on(passed: float, computed: float, limit: float) -> bool:
    """Whether a call that takes so long may only be slow: the machine gave it little of its time, though it wanted it.

    Args:
        passed: seconds of the clock.
        computed: of these, seconds that this process had a processor.
        limit: seconds that the call may take where nothing else goes on.
    """
    return IDLE * passed < computed < BUSY * limit


def _end_at(frame: FrameType | None) -> None:
    """End the process, for a component that lets nothing end it, neither a limit nor Ctrl-C; says where it is."""
    where = "" if frame is None else f" ({frame.f_code.co_filename}, line {frame.f_lineno}, {frame.f_code.co_name})"
    with suppress(OSError):
        sys.stderr.write(
            f"error: a component does not return and catches what would end it{where}; the command ends here\n"
        )
        sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def watched(seconds: float | None = None) -> Iterator[None]:
    """End calls of `limited` that take longer than `seconds`, by HookTimeout raised inside of them.

    A timer looks at the stack now and then: the calls themselves cost nothing. It works in the main thread of systems
    that have interval timers, and where no other timer runs; elsewhere nothing is watched.

    Args:
        seconds: `hook_seconds()` if None.
    """
    seconds = hook_seconds() if seconds is None else seconds
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return
    seen: list[FrameType] = []
    since = [0.0, 0.0]
    told: list[FrameType | None] = [None]
    swallowed = [0]

    def look(number: int, frame: FrameType | None) -> None:
        there, here = [], frame
        while frame is not None:
            if frame.f_code is limited.__code__:
                there.append(frame)
            frame = frame.f_back
        same = [one for one in there if any(one is other for other in seen)]
        now = [time.monotonic(), time.process_time()]
        if same and not gets_on(now[0] - since[0], now[1] - since[1], seconds):
            swallowed[0] = swallowed[0] + 1 if same[0] is told[0] else 0
            told[0] = same[0]
            if swallowed[0] == PATIENCE:
                _end_at(here)
            raise HookTimeout(
                f"it did not return within {seconds:g} s (PRUNEBENCH_HOOK_SECONDS sets how long it may take)"
            )
        if not same:
            since[:] = now
        seen[:] = same or there

    before = signal.signal(signal.SIGALRM, look)
    # Seen at one look and at the next: that call has taken at least the time between the two.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        seen.clear()
        told[0] = None
