"""How far a run is: by work, not by runs, which differ in length."""

from __future__ import annotations

from collections.abc import Mapping


class WorkDone:
    """Counts training examples that are still to be processed, and those that are.

    Args:
        work: by key of a training run, the examples that it is still to process.
    """

    def __init__(self, work: Mapping[str, int]) -> None:
        self._work = dict(work)
        self._total = sum(work.values())
        self._done: dict[str, int] = {}

    @property
    def total(self) -> int:
        """All the work, in examples."""
        return self._total

    @property
    def done(self) -> int:
        """What of it is done, in examples."""
        return sum(self._done.values())

    def advance(self, key: str, samples: int) -> None:
        """A run has processed so many examples."""
        if key in self._work:
            self._done[key] = min(samples, self._work[key])

    def finish(self, key: str) -> None:
        """A run is done, whatever it had reported."""
        if key in self._work:
            self._done[key] = self._work[key]

    def drop(self, key: str) -> None:
        """A run failed: what was left of it will not be done."""
        self._total -= self._work.pop(key, 0)
        self._done.pop(key, None)
