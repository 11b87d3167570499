"""How long a run will still take, by the work that is left and the speed that was seen."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_SECONDS = 5.0
"""A speed that was seen for less than this says nothing."""


class TimeLeft:
    """Counts work, not runs: training examples that are still to be processed, and how fast this process had them done.

    Args:
        work: by key of a training run, the examples that it is still to process.
    """

    def __init__(self, work: Mapping[str, int]) -> None:
        self._work = dict(work)
        self._total = sum(work.values())
        self._done: dict[str, int] = {}
        self._free: dict[str, int] = {}
        """What a run had done when it was taken up: it is not to be done, and it took no time."""
        self._began: float | None = None

    @property
    def began(self) -> bool:
        """Whether any run was started."""
        return self._began is not None

    @property
    def total(self) -> int:
        """All the work, in examples."""
        return self._total

    @property
    def done(self) -> int:
        """What of it is done, in examples."""
        return sum(self._done.values())

    def begin(self, now: float) -> None:
        """A run was started."""
        self._began = now if self._began is None else self._began

    def advance(self, key: str, samples: int, taken_up: int) -> None:
        """A run has processed so many examples, of which so many before this process took it up."""
        if key in self._work:
            self._done[key] = min(samples, self._work[key])
            self._free[key] = min(taken_up, self._done[key])

    def finish(self, key: str) -> None:
        """A run is done, whatever it had reported."""
        if key in self._work:
            self._done[key] = self._work[key]

    def drop(self, key: str) -> None:
        """A run failed: what was left of it will not be done."""
        self._total -= self._work.pop(key, 0)
        self._done.pop(key, None)
        self._free.pop(key, None)

    def seconds(self, now: float) -> float | None:
        """How long the rest will take; None while nothing can be said."""
        if self._began is None or now - self._began < LEAST_SECONDS:
            return None
        earned = self.done - sum(self._free.values())
        left = self._total - self.done
        return None if earned <= 0 else left * (now - self._began) / earned
