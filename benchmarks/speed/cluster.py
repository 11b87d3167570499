"""A plan of 100,000 phases on 256 simulated slots: what scheduling costs of the time that a cluster is there.

The clock is simulated, the scheduler is real. A slot is busy for as long as its phase would take on a GPU; whenever the
scheduler computes, its processor time passes on the simulated clock too, while slots that have finished wait for it.
Overhead is how much longer the whole takes than with a scheduler that takes no time, on the same slots. Printed beside
it: the critical path, which no number of slots shortens, and utilisation, the share of slots that are busy.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from typing import Any, cast

from interleave import Row, show
from planning import study
from scheduler import Nothing

from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.missing import samples
from prunebench.engine.scheduler import execute
from prunebench.engine.work import Work
from prunebench.plan.trial import Plan
from prunebench.store.store import Store

TARGET = 1.0
PHASES = 100_000
SLOTS = 256
EXAMPLES_A_SECOND = 20_000.0
"""Of one slot: a small network, eight of which share a GPU. Slower ones make scheduling a smaller share."""
OTHER_SECONDS = 1.0
"""A phase that trains nothing."""


class Simulated:
    """Slots on a simulated clock.

    Args:
        seconds: how long each phase takes.
        free: whether the scheduler's own time passes as well.
    """

    def __init__(self, seconds: Mapping[str, float], free: bool) -> None:
        self._seconds, self._free = seconds, free
        self.now, self.busy = 0.0, 0.0
        self._running: list[tuple[float, str]] = []
        self._started: list[str] = []
        self._left_at = time.process_time()
        self.scheduling = 0.0

    def capacity(self) -> list[Capacity]:
        """All slots are alike."""
        return [Capacity(Nothing.environment, SLOTS)]

    def has_room(self, resources: Resources) -> bool:
        """For as many as there are slots."""
        return len(self._running) < SLOTS

    def submit(self, work: Work, resources: Resources) -> None:
        """It starts now, after what the scheduler has computed."""
        self._pass()
        seconds = self._seconds[work.key]
        self.busy += seconds
        self._started.append(work.key)
        heapq.heappush(self._running, (self.now + seconds, work.key))

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """What has started, and what ends next, with all that ended while the scheduler computed."""
        self._pass()
        found: list[dict[str, Any]] = [{"kind": "started", "key": key} for key in self._started]
        self._started = []
        if self._running:
            self.now = max(self.now, self._running[0][0])
        while self._running and self._running[0][0] <= self.now:
            _, key = heapq.heappop(self._running)
            found.append({"kind": "done", "key": key, "seconds": self._seconds[key], "first": False})
        self._left_at = time.process_time()
        return found

    def cancel(self, key: str) -> None:
        """There is never anything to stop."""

    def shutdown(self) -> None:
        """Nothing to end."""

    def _pass(self) -> None:
        now = time.process_time()
        passed, self._left_at = now - self._left_at, now
        self.scheduling += passed
        if not self._free:
            self.now += passed


def critical_path(plan: Plan, seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of phases, one after another."""
    ahead: dict[str, float] = {}
    for key in reversed(list(plan.wanted)):
        ahead[key] = ahead.get(key, 0.0) + seconds[key]
        for parent in plan.phases[key].parents:
            ahead[parent.key] = max(ahead.get(parent.key, 0.0), ahead[key])
    return max(ahead.values())


def simulated(plan: Plan, seconds: Mapping[str, float], free: bool) -> Simulated:
    """The plan carried out."""
    executor = Simulated(seconds, free)
    done = execute(plan, cast(Store, Nothing()), executor)
    if done.done != len(plan.wanted):
        raise AssertionError(f"{done.done} of {len(plan.wanted)} phases were done")
    return executor


def measure(phases: int = PHASES) -> list[Row]:
    """Overhead in percent."""
    plan = study(phases, Catalogue.load())
    seconds = {}
    for key, refs in plan.wanted.items():
        trained = samples(plan.phases[key], refs)
        seconds[key] = trained / EXAMPLES_A_SECOND if trained else OTHER_SECONDS
    ideal, real = simulated(plan, seconds, free=True), simulated(plan, seconds, free=False)
    path, bound = critical_path(plan, seconds), sum(seconds.values()) / SLOTS
    utilisation = real.busy / (SLOTS * real.now)
    note = (
        f"{len(plan.wanted):,} phases in {real.now / 3600:.2f} h of simulated time, of which scheduling "
        f"{real.scheduling:.1f} s; critical path {path / 3600:.2f} h, all work over all slots {bound / 3600:.2f} h; "
        f"utilisation {utilisation:.1%}"
    )
    return [
        {
            "name": f"scheduling overhead on {SLOTS} slots, {len(plan.wanted):,} phases",
            "ratio": 100 * (real.now / ideal.now - 1),
            "target": TARGET,
            "unit": "%",
            "note": note,
        }
    ]


if __name__ == "__main__":
    show(measure())
