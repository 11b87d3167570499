"""A limit for hooks that do not return while a file is planned."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

SECONDS = 60.0
"""How long one call of a planning hook may take, unless the caller says otherwise."""


class HookTimeout(BaseException):
    """A hook did not return. No Exception, since a hook may catch those in the very loop that does not end."""


@contextmanager
def watched(call: CodeType, seconds: float = SECONDS) -> Iterator[None]:
    """End calls of one function that take longer than `seconds`, by HookTimeout raised inside of them.

    A timer looks at the stack now and then: the calls themselves cost nothing. It works in the main thread of systems
    that have interval timers; elsewhere nothing is watched.

    Args:
        call: the code of the function that calls hooks.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    seen: list[FrameType] = []

    def look(number: int, frame: FrameType | None) -> None:
        there = []
        while frame is not None:
            if frame.f_code is call:
                there.append(frame)
            frame = frame.f_back
        stuck = any(one is other for one in there for other in seen)
        seen[:] = [] if stuck else there
        if stuck:
            raise HookTimeout(f"it did not return within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, look)
    # Seen at one look and at the next: that call has taken at least the time between the two.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        seen.clear()
