"""Carries a plan out: only what is missing, as soon as its parents are done, the longest remaining work first."""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prunebench.api.errors import InterruptedRunError, StoreError, WorkerError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.missing import missing, samples
from prunebench.engine.pace import Forecast, Pace, kind_of
from prunebench.engine.stopping import stoppable
from prunebench.engine.task_graph import TaskGraph
from prunebench.engine.work import Work
from prunebench.plan.phases import Phase
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.store.store import Store

PATIENCE = 25.0
"""Seconds that running work gets to checkpoint after Ctrl-C or SIGTERM."""
LOSSES = 3
"""How often a phase may lose parents before it counts as failed."""
RESTARTS = 2
"""How often a phase whose worker died starts again, unless a file says otherwise."""
FRUITLESS = 3
"""How many workers in a row may die before they come to any work."""
BUSY_SECONDS = (0.2, 2.0)
"""The first and the longest pause before work that another process has is looked at again."""
WAITING_SECONDS = 5.0
"""After this long, a phase that another process has is reported as waiting; then each time as long has passed again."""
FORECAST_SECONDS = 2.0
"""At most this often a run says how long it will still take."""
ANY = Resources()
"""What a phase needs if nothing else is said."""


@dataclass
class Execution:
    """What became of a plan."""

    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Phases that failed, with the error."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Phases whose parents failed, with the phase that did."""
    seconds: float = 0.0

    def error_of(self, key: str) -> str | None:
        """Why an output does not exist, if it failed."""
        return self.failed.get(self.skipped.get(key, key))


def execute(
    plan: Plan,
    store: Store,
    executor: Executor,
    resources: Callable[[Phase], Resources] = lambda phase: ANY,
    observe: Callable[[Event], None] = lambda event: None,
    restarts: int = RESTARTS,
) -> Execution:
    """Make every output that the plan's results rest on and the store lacks.

    Args:
        resources: what a phase needs.
        restarts: how often a phase whose worker died starts again, from its checkpoint.
    Raises:
        StoreError: the store cannot be written; nothing else can succeed.
        WorkerError: no worker gets going.
        InterruptedRunError: on Ctrl-C or SIGTERM, after running work was checkpointed.
    """
    return _Scheduler(plan, store, executor, resources, observe, restarts).run()


@dataclass
class _Waiting:
    """Since when another process has a phase, and when that was reported last."""

    since: float
    reported: float
    pause: float


class _Scheduler:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        resources: Callable[[Phase], Resources],
        observe: Callable[[Event], None],
        restarts: int,
    ) -> None:
        self.plan, self.store, self.executor = plan, store, executor
        self.phases = dict(plan.phases)
        self.resources, self.observe, self.restarts = resources, observe, restarts
        self.execution = Execution()
        self.graph: TaskGraph[Resources] = TaskGraph()
        self.wanted: dict[str, tuple[Ref, ...]] = {}
        """The outputs that are to be made, by phase."""
        self.absent: set[str] = set()
        """Their addresses."""
        self.lost: set[str] = set()
        """Of these, the addresses of what was there when the plan was laid out."""
        self.running: dict[str, tuple[Ref, ...]] = {}
        self.alone: str | None = None
        """The running phase beside which nothing may run."""
        self.waiting: dict[str, _Waiting] = {}
        self.losses: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self.fruitless = 0
        self.total = 0
        self.forecast = Forecast(1)
        self.forecast_at = 0.0
        self.stopping = 0
        """The signal that asked the run to stop."""

    def run(self) -> Execution:
        began = self.forecast_at = time.monotonic()
        with _no_collector():
            wanted = missing(self.plan, self.store)
            if wanted:
                slots = sum(one.slots for one in self.executor.capacity())
                self.forecast = Forecast(slots, Pace.from_json(self.store.cached_json(pace_name(self.store))))
            self._plant(wanted)
        self.observe(Event("run-started", {"phases": self.total, "runs": self._runs(wanted)}))
        with stoppable(self._stop_soon, PATIENCE):
            try:
                while self.graph and not self.stopping:
                    self._start()
                    for event in self.executor.events(0.2):
                        self._handle(event)
                    self._foresee()
            except KeyboardInterrupt:
                self.stopping = self.stopping or signal.SIGINT
            if self.stopping:
                self._stop()
                raise InterruptedRunError(self.execution.done, self.total, self.stopping)
        self.execution.seconds = time.monotonic() - began
        if self.forecast.pace.units:
            self.store.put_json(pace_name(self.store), self._paces())
        self.observe(Event("run-finished", {"done": self.execution.done, "failed": len(self.execution.failed)}))
        return self.execution

    def _runs(self, keys: Iterable[str]) -> int:
        return sum(self.phases[key].kind == "train" for key in keys)

    def _plant(self, wanted: Mapping[str, tuple[Ref, ...]], behind: float = 0.0) -> None:
        """Add phases to what is to be done, each to wait for those that make what it needs."""
        self.wanted.update(wanted)
        self.total = self.execution.done + len(self.wanted)
        self.absent.update(ref.address for outputs in wanted.values() for ref in outputs)
        self.graph.extend(wanted, self._described, behind)

    def _described(self, key: str) -> tuple[float, Resources, Iterable[str]]:
        """What a phase costs and needs, and for which phases it waits."""
        phase = self.phases[key]
        # What trains nothing takes a moment: it counts only between paths that train alike.
        cost = float(samples(phase, self.wanted[key]) or 1)
        self.forecast.add(key, kind_of(phase), cost)
        needs = self._needs(key)
        if self.execution.failed:
            # A parent that failed, and whose output is gone, is noticed when the phase would start.
            needs &= self.wanted.keys()
        return cost, self.resources(phase), needs

    def _needs(self, key: str) -> set[str]:
        """The phases that make what a phase needs and what is to be made."""
        absent = self.absent
        return {parent.key for parent in self.phases[key].parents if parent.address in absent}

    # Starting work.

    def _start(self) -> None:
        now = time.monotonic()
        while (key := self.graph.take(self._has_room, now)) is not None:
            phase = self.phases[key]
            if self.lost and any(parent.address in self.lost for parent in phase.parents):
                self._wait_for_parents(key)
                continue
            outputs = self.running[key] = self.wanted[key]
            resources = self.resources(phase)
            if resources.alone:
                self.alone = key
            self.executor.submit(Work.of(self.plan, phase, outputs), resources)

    def _has_room(self, resources: Resources) -> bool:
        """Whether work that needs this can start: what must be alone waits until nothing else runs, and is alone then.

        Nothing waits for it meanwhile, so it comes when all other work is done or waits for another process.
        """
        if self.alone is not None or (resources.alone and self.running):
            return False
        return self.executor.has_room(resources)

    # What became of it.

    def _handle(self, event: Mapping[str, Any]) -> None:
        kind, key = event["kind"], event["key"]
        if kind == "started":
            self.fruitless = 0
            self.forecast.started(key, time.monotonic())
            self._report("phase-started", event)
        elif kind == "progress":
            self._advance(key, event)
            self._report("progress", event)
        else:
            outputs = self.running.pop(key)
            if key == self.alone:
                self.alone = None
            if self.waiting and kind != "busy":
                self.waiting.pop(key, None)
            match kind:
                case "done":
                    self._done(key, outputs, event)
                case "busy":
                    self._busy(key, event)
                case "lost":
                    self._lost(key, event)
                case "died":
                    self._died(key, event)
                case "cancelled":
                    self.graph.put_back(key)
                case "failed" if event.get("fatal"):
                    self._stop()
                    raise (StoreError if event["fatal"] == "store" else WorkerError)(str(event["error"]))
                case _:
                    self._fail(key, str(event["error"]), event.get("traceback"))

    def _advance(self, key: str, event: Mapping[str, Any]) -> None:
        spec = self.phases[key].spec
        if isinstance(spec, TrainSpec):
            units = (int(event["iteration"]) - spec.start) * spec.recipe.batch
            self.forecast.progress(key, float(units), time.monotonic())

    def _foresee(self) -> None:
        """Say now and then how long the rest will take."""
        now = time.monotonic()
        if now - self.forecast_at < FORECAST_SECONDS:
            return
        self.forecast_at = now
        longest = max([self.graph.path(key) for key in self.running if key in self.graph], default=0.0)
        left = self.forecast.left(longest)
        if left is not None:
            self.observe(Event("time-left", left.to_json()))

    def _paces(self) -> dict[str, list[float]]:
        """What earlier runs measured in this environment, and of what this one measured its own."""
        known = self.store.cached_json(pace_name(self.store)) or {}
        return {**known, **self.forecast.pace.to_json()}

    def _report(self, name: str, event: Mapping[str, Any]) -> None:
        self.observe(Event(name, {"phase": self.phases[event["key"]].kind, **event}))

    def _done(self, key: str, outputs: tuple[Ref, ...], event: Mapping[str, Any]) -> None:
        self.forecast.done(key, float(event["seconds"]), bool(event.get("first")))
        made = [ref.address for ref in outputs]
        self.absent.difference_update(made)
        if self.lost:
            self.lost.difference_update(made)
        wanted = self.wanted.pop(key)
        if len(wanted) > len(outputs):  # more was lost while it ran
            self.wanted[key] = tuple(ref for ref in wanted if ref.address in self.absent)
            self.graph.put_back(key)
            return
        self.graph.finish(key)
        self.execution.done += 1
        self._report("phase-done", event)

    def _busy(self, key: str, event: Mapping[str, Any]) -> None:
        now = time.monotonic()
        waiting = self.waiting.setdefault(key, _Waiting(now, now, BUSY_SECONDS[0]))
        if now - waiting.reported >= WAITING_SECONDS:
            waiting.reported = now
            self._report("phase-waiting", {"key": key, "seconds": now - waiting.since, "holder": event.get("holder")})
        self.graph.put_back(key, now + waiting.pause)
        waiting.pause = min(2 * waiting.pause, BUSY_SECONDS[1])

    def _died(self, key: str, event: Mapping[str, Any]) -> None:
        error = str(event["error"])
        if not event["began"]:
            self.fruitless += 1
            if self.fruitless >= FRUITLESS:
                self._stop()
                raise WorkerError(f"{error}, before it came to any work; so did {FRUITLESS - 1} others before it")
        else:
            self.deaths[key] += 1
            if self.deaths[key] > self.restarts:
                times = f", {self.deaths[key]} times" if self.restarts else ""
                self._fail(key, f"{error}{times}")
                return
        self._report("phase-restarted", {"key": key, "error": error})
        self.graph.put_back(key)

    def _lost(self, key: str, event: Mapping[str, Any]) -> None:
        self.losses[key] += 1
        if self.losses[key] > LOSSES:
            self._fail(key, str(event["error"]))
            return
        for address in event["addresses"]:
            self.observe(Event("artifact-lost", {"key": key, "address": address, "error": str(event["error"])}))
        addresses = set(event["addresses"])
        lost = [parent for parent in self.phases[key].parents if parent.address in addresses]
        self._make_again(lost, behind=self.graph.path(key))
        self._wait_for_parents(key)

    def _make_again(self, lost: Iterable[Ref], behind: float) -> None:
        """Plan to make outputs that are gone, with all that this takes, for a phase with so much work behind it."""
        new: dict[str, tuple[Ref, ...]] = {}
        stack = list(lost)
        while stack:
            ref = stack.pop()
            # Somebody else, who shares the store, may have made it again.
            if ref.address in self.absent or self.store.has(ref.address):
                continue
            self.absent.add(ref.address)
            self.lost.add(ref.address)
            if ref.key in self.wanted:
                self.wanted[ref.key] += (ref,)
            elif ref.key in new:
                new[ref.key] += (ref,)
            elif self.execution.error_of(ref.key) is None:
                new[ref.key] = (ref,)
                stack += self.phases[ref.key].parents
        self._plant(new, behind)

    def _wait_for_parents(self, key: str) -> None:
        """A phase that was taken waits for what it needs; it is skipped where that failed."""
        needs = self._needs(key)
        failed = next((parent for parent in needs if parent not in self.wanted), None)
        if failed is not None:
            self.execution.skipped[key] = self.execution.skipped.get(failed, failed)
            self._drop(key, self.execution.skipped[key])
        elif needs:
            self.graph.wait(key, needs)
        else:
            self.graph.put_back(key)

    def _fail(self, key: str, error: str, trace: str | None = None) -> None:
        self.execution.failed[key] = error
        self.observe(Event("phase-failed", {"key": key, "error": error, "traceback": trace or ""}))
        self._drop(key, key)

    def _drop(self, key: str, failed: str) -> None:
        del self.wanted[key]
        self.forecast.drop(key)
        for child in self.graph.drop(key):
            self.forecast.drop(child)
            del self.wanted[child]
            self.execution.skipped[child] = failed

    # Stopping.

    def _stop_soon(self, signum: int) -> None:
        """Called from a signal handler."""
        self.stopping = signum
        for key in list(self.running):
            self.executor.cancel(key)

    def _stop(self) -> None:
        """Let running work checkpoint; a second Ctrl-C does not wait for it."""
        deadline = time.monotonic() + PATIENCE
        try:
            if self.running:
                self.observe(Event("run-stopping", {"running": len(self.running)}))
            for key in self.running:
                self.executor.cancel(key)
            while self.running and time.monotonic() < deadline:
                for event in self.executor.events(0.2):
                    if event["kind"] not in ("started", "progress"):
                        self.running.pop(event["key"], None)
                        self.execution.done += event["kind"] == "done"
        except KeyboardInterrupt:
            return


def pace_name(store: Store) -> str:
    """Under which name a store keeps how fast work went in its environment."""
    return f"pace-{store.environment.id}"


@contextmanager
def _no_collector() -> Iterator[None]:
    """Within it, many objects are made and all stay: the collector would go through a large plan for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
