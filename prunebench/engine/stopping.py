"""SIGTERM while work is under way: running work is asked to checkpoint, and is not waited for without end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from prunebench.components.interrupts import CtrlC, raise_ctrl_c


@contextmanager
def stoppable(stop: Callable[[int], None], patience: float) -> Iterator[None]:
    """Within it, the first SIGTERM calls `stop` (in a signal handler), and a second one is a Ctrl-C.

    So is the end of `patience`, in seconds after the first, for work in this very thread that does not look up. Nothing
    changes outside of the main thread, where signals do not arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def terminate(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise CtrlC(signum)
        asked = True
        signal.signal(signal.SIGALRM, raise_ctrl_c)
        signal.setitimer(signal.ITIMER_REAL, patience)
        stop(signum)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if asked:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            # None is a handler that was not set from Python, and cannot be set back from it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
