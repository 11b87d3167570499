"""Scheduling a plan, from 1,000 to 100,000 phases: what the engine pays for a phase beside doing it.

The planning study at several sizes, against a store that has nothing and a fake executor with 256 slots that finishes
what it was given at its next call. What is timed is finding what is missing, the graph, cutting out each piece of work,
and the events. Not in it: looking outputs up in a real store (`cached_phase`), and sending work as JSON to where it is
done, which is as much as the work's description is long.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from typing import Any, cast

from interleave import Row, show
from planning import study

from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.scheduler import execute
from prunebench.engine.work import Work
from prunebench.plan.trial import Plan
from prunebench.store.environment import Environment
from prunebench.store.store import Store

TARGET = 0.02
SIZES = (1_000, 10_000, 100_000)
SLOTS = 256


class Nothing:
    """A store that has none of the outputs, ever: nothing is looked up twice."""

    environment = Environment({"for": "measuring"})

    def cached_json(self, name: str) -> None:
        """No earlier run is known."""

    def put_json(self, name: str, value: Any) -> None:
        """Nothing is kept."""

    def have(self, addresses: Iterable[str]) -> set[str]:
        """None of them, each of which was made out."""
        for _ in addresses:
            pass
        return set()


class AtOnce:
    """Finishes each piece of work at the next call of `events`."""

    def __init__(self) -> None:
        self._running: list[str] = []

    def capacity(self) -> list[Capacity]:
        """All slots are alike."""
        return [Capacity(Nothing.environment, SLOTS)]

    def has_room(self, resources: Resources) -> bool:
        """For as many as there are slots."""
        return len(self._running) < SLOTS

    def submit(self, work: Work, resources: Resources) -> None:
        """Only the key matters."""
        self._running.append(work.key)

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """Started and done, for each."""
        running, self._running = self._running, []
        found: list[dict[str, Any]] = []
        for key in running:
            found += [{"kind": "started", "key": key}, {"kind": "done", "key": key, "seconds": 0.0}]
        return found

    def cancel(self, key: str) -> None:
        """There is never anything to stop."""

    def shutdown(self) -> None:
        """Nothing to end."""


def milliseconds(plan: Plan) -> float:
    """Processor time of scheduling, for each phase of the plan."""
    began = time.process_time()
    done = execute(plan, cast(Store, Nothing()), AtOnce())
    passed = time.process_time() - began
    if done.done != len(plan.wanted):
        raise AssertionError(f"{done.done} of {len(plan.wanted)} phases were done")
    return passed * 1_000 / done.done


def measure() -> list[Row]:
    """A line for each size, in milliseconds a phase."""
    catalogue = Catalogue.load()
    rows = []
    for size in SIZES:
        plan = study(size, catalogue)
        for refs in plan.wanted.values():  # addresses are made once, and planning needs them too
            for ref in refs:
                assert ref.address
        found = [milliseconds(plan) for _ in range(11 if size < SIZES[-1] else 5)]
        low, _, high = statistics.quantiles(found, n=4)
        note = f"{len(plan.wanted):,} phases; {len(found)} times, middle half {low:.4f} to {high:.4f}"
        rows.append(
            {
                "name": f"scheduling, {size:,} phases",
                "ratio": statistics.median(found),
                "target": TARGET,
                "unit": "ms a phase",
                "note": note,
            }
        )
    return rows


if __name__ == "__main__":
    show(measure())
