"""Ctrl-C and SIGTERM told apart from a KeyboardInterrupt that a component raises: only the first two stop a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class CtrlC(KeyboardInterrupt):
    """The user, or whoever sent the signal, wants the command to stop.

    Args:
        by: the signal.
    """

    def __init__(self, by: int = signal.SIGINT) -> None:
        self.by = by
        super().__init__()


def raise_ctrl_c(number: int, frame: FrameType | None) -> NoReturn:
    """A handler of signals."""
    raise CtrlC(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


@contextmanager
def told_apart() -> Iterator[None]:
    """Within it, Ctrl-C and SIGTERM raise CtrlC: what was begun is tidied up, and the command says that it stopped.

    Nothing changes outside of the main thread, or of a signal that has another handler than Python's own.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    ours = {number: handler for number, handler in usual.items() if main and signal.getsignal(number) is handler}
    for number in ours:
        signal.signal(number, raise_ctrl_c)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an error is the user's Ctrl-C; where the two are not told apart, any KeyboardInterrupt is.

    In a process that ignores the signal, such as a worker, none is.
    """
    if isinstance(error, CtrlC):
        return True
    apart = signal.getsignal(signal.SIGINT) in (raise_ctrl_c, signal.SIG_IGN)
    return isinstance(error, KeyboardInterrupt) and not apart
