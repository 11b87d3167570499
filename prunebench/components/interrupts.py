"""Ctrl-C told apart from a KeyboardInterrupt that a component raises: only the first one stops a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class CtrlC(KeyboardInterrupt):
    """The user, or whoever sent the signal, wants the command to stop."""


def raise_ctrl_c(number: int, frame: FrameType | None) -> NoReturn:
    """A handler of signals."""
    raise CtrlC


@contextmanager
def told_apart() -> Iterator[None]:
    """Within it, Ctrl-C raises CtrlC.

    Nothing changes outside of the main thread, or where SIGINT has another handler than Python's own.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, raise_ctrl_c)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an error is the user's Ctrl-C; where the two are not told apart, any KeyboardInterrupt is.

    In a process that ignores the signal, such as a worker, none is.
    """
    if isinstance(error, CtrlC):
        return True
    apart = signal.getsignal(signal.SIGINT) in (raise_ctrl_c, signal.SIG_IGN)
    return isinstance(error, KeyboardInterrupt) and not apart
