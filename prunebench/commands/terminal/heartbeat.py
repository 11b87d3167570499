"""Says something now and then while nothing else does, so that a log shows that a command is alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from prunebench.commands.terminal.durations import duration_text

if TYPE_CHECKING:
    from rich.console import Console

FIRST_SECONDS = 9.0
"""After so much silence at the beginning something is said."""
EVERY_SECONDS = 29.0
"""After so much silence later on."""
LOOKS = 0.5
"""How often, in seconds, the silence is measured."""


class Heartbeat:
    """Calls `beat` from a thread of its own when nothing was said for a while.

    Args:
        beat: what says something; it ends with a call of `spoke`.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, beat: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._beat, self._clock = beat, clock
        self._spoken = clock()
        self._limit = FIRST_SECONDS
        self._over = Event()
        Thread(target=self._listen, name="heartbeat", daemon=True).start()

    def spoke(self) -> None:
        """Something was said."""
        self._spoken = self._clock()

    def stop(self) -> None:
        """Say no more. May be called again."""
        self._over.set()

    def look(self) -> None:
        """Say something if it is time."""
        if not self._over.is_set() and self._clock() - self._spoken >= self._limit:
            self._limit = EVERY_SECONDS
            self._beat()

    def _listen(self) -> None:
        while not self._over.wait(LOOKS):
            self.look()


@contextmanager
def telling(console: Console, doing: str) -> Iterator[None]:
    """Say what takes so long while it does; nothing if it is quick. On a terminal too."""
    began = time.monotonic()

    def beat() -> None:
        spent = duration_text(time.monotonic() - began)
        console.print(f"{doing}, for {spent} now", markup=False, highlight=False, soft_wrap=True)
        heartbeat.spoke()

    heartbeat = Heartbeat(beat)
    try:
        yield
    finally:
        heartbeat.stop()
