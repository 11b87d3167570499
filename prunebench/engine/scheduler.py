"""Carries a plan out: only what is missing, as soon as its parents are done, the longest remaining work first."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prunebench.api.errors import InterruptedRunError, StoreError, WorkerError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.engine.collector import collecting_only_new, without_collector
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.missing import missing
from prunebench.engine.pace import Forecast, Pace, amount
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


@dataclass(slots=True)
class _Task:
    """A phase that is to be done."""

    phase: Phase
    outputs: tuple[Ref, ...]
    """Those that are to be made; none once they are."""
    kind: str
    cost: float
    resources: Resources


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
        self.tasks: list[_Task] = []
        """By their numbers in the graph."""
        self.numbers: dict[str, int] = {}
        """Of each phase, its task; the last one of a phase that had to be done again."""
        self.lost: set[str] = set()
        """The addresses of what was there when the plan was laid out, and is to be made again."""
        self.running: dict[str, tuple[int, tuple[Ref, ...]]] = {}
        """Of each phase that is worked on, its task and the outputs that were asked for."""
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
        with without_collector():
            lacking = missing(self.plan, self.store)
            # In the order of the plan, where a phase comes after those that it reads from. Among work that is as long
            # as other work, what was planned first is done first.
            wanted = {key: lacking[key] for key in self.phases if key in lacking}
            if wanted:
                slots = sum(one.slots for one in self.executor.capacity())
                self.forecast = Forecast(slots, Pace.from_json(self.store.cached_json(pace_name(self.store))))
            self._plant(wanted)
        self.observe(Event("run-started", {"phases": self.total, "runs": self._runs(wanted)}))
        with stoppable(self._stop_soon, PATIENCE), collecting_only_new():
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
        first = len(self.tasks)
        for key, outputs in wanted.items():
            phase = self.phases[key]
            # What trains nothing takes a moment: it counts only between paths that train alike.
            kind, cost = amount(phase, outputs)
            self.forecast.add(kind, cost)
            self.numbers[key] = len(self.tasks)
            self.tasks.append(_Task(phase, outputs, kind, cost, self.resources(phase)))
        self.graph.extend(
            len(wanted), ((task.cost, task.resources, self._needs(task)) for task in self.tasks[first:]), behind
        )
        self.total = self.execution.done + len(self.graph)

    def _needs(self, task: _Task) -> list[int]:
        """The tasks that make what a phase needs and what is to be made, without those that failed."""
        return [maker for maker in self._makers(task) if maker in self.graph]

    def _makers(self, task: _Task) -> list[int]:
        """The tasks that make what a phase needs and what is to be made, or would have made it, each once."""
        numbers, tasks = self.numbers, self.tasks
        makers: dict[int, None] = {}
        for ref in task.phase.parents:
            number = numbers.get(ref.key)
            if number is not None and number not in makers and _among(ref, tasks[number].outputs):
                makers[number] = None
        return list(makers)

    # Starting work.

    def _start(self) -> None:
        now = time.monotonic()
        while (number := self.graph.take(self._has_room, now)) is not None:
            task = self.tasks[number]
            phase = task.phase
            if self.lost and any(parent.address in self.lost for parent in phase.parents):
                self._wait_for_parents(number)
                continue
            self.running[phase.key] = number, task.outputs
            if task.resources.alone:
                self.alone = phase.key
            self.executor.submit(Work.of(self.plan, phase, task.outputs), task.resources)

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
        if key not in self.running:
            return  # said by a worker before it died
        number, outputs = self.running[key]
        task = self.tasks[number]
        if kind == "started":
            self.fruitless = 0
            self.forecast.started(key, task.kind)
            self._report("phase-started", task, event)
        elif kind == "progress":
            self._advance(key, task, event)
            self._report("progress", task, event)
        else:
            del self.running[key]
            if key == self.alone:
                self.alone = None
            if self.waiting and kind != "busy":
                self.waiting.pop(key, None)
            match kind:
                case "done":
                    self._done(number, task, outputs, event)
                case "busy":
                    self._busy(number, task, event)
                case "lost":
                    self._lost(number, task, event)
                case "died":
                    self._died(number, task, event)
                case "cancelled":
                    self.graph.put_back(number)
                case "failed" if event.get("fatal"):
                    self._stop()
                    raise (StoreError if event["fatal"] == "store" else WorkerError)(str(event["error"]))
                case _:
                    self._fail(number, str(event["error"]), event.get("traceback"))

    def _advance(self, key: str, task: _Task, event: Mapping[str, Any]) -> None:
        spec = task.phase.spec
        if isinstance(spec, TrainSpec):
            units = (int(event["iteration"]) - spec.start) * spec.recipe.batch
            self.forecast.progress(key, float(units), time.monotonic())

    def _foresee(self) -> None:
        """Say now and then how long the rest will take."""
        now = time.monotonic()
        if now - self.forecast_at < FORECAST_SECONDS:
            return
        self.forecast_at = now
        longest = max([self.graph.path(number) for number, _ in self.running.values()], default=0.0)
        left = self.forecast.left(longest)
        if left is not None:
            self.observe(Event("time-left", left.to_json()))

    def _paces(self) -> dict[str, list[float]]:
        """What earlier runs measured in this environment, and of what this one measured its own."""
        known = self.store.cached_json(pace_name(self.store)) or {}
        return {**known, **self.forecast.pace.to_json()}

    def _report(self, name: str, task: _Task, event: Mapping[str, Any]) -> None:
        self.observe(Event(name, {"phase": task.phase.kind, **event}))

    def _done(self, number: int, task: _Task, outputs: tuple[Ref, ...], event: Mapping[str, Any]) -> None:
        self.forecast.done(event["key"], task.kind, task.cost, float(event["seconds"]), bool(event.get("first")))
        if self.lost:
            self.lost.difference_update([ref.address for ref in outputs])
        if task.outputs is not outputs:  # more was lost while it ran
            task.outputs = tuple([ref for ref in task.outputs if ref not in outputs])
            self.forecast.add(task.kind, task.cost)
            self.graph.put_back(number)
            return
        task.outputs = ()
        self.graph.finish(number)
        self.execution.done += 1
        self._report("phase-done", task, event)

    def _busy(self, number: int, task: _Task, event: Mapping[str, Any]) -> None:
        now, key = time.monotonic(), task.phase.key
        waiting = self.waiting.setdefault(key, _Waiting(now, now, BUSY_SECONDS[0]))
        if now - waiting.reported >= WAITING_SECONDS:
            waiting.reported = now
            seen = {"key": key, "seconds": now - waiting.since, "holder": event.get("holder")}
            self._report("phase-waiting", task, seen)
        self.graph.put_back(number, now + waiting.pause)
        waiting.pause = min(2 * waiting.pause, BUSY_SECONDS[1])

    def _died(self, number: int, task: _Task, event: Mapping[str, Any]) -> None:
        error, key = str(event["error"]), task.phase.key
        if not event["began"]:
            self.fruitless += 1
            if self.fruitless >= FRUITLESS:
                self._stop()
                raise WorkerError(f"{error}, before it came to any work; so did {FRUITLESS - 1} others before it")
        else:
            self.deaths[key] += 1
            if self.deaths[key] > self.restarts:
                times = f", {self.deaths[key]} times" if self.restarts else ""
                self._fail(number, f"{error}{times}")
                return
        self._report("phase-restarted", task, {"key": key, "error": error})
        self.graph.put_back(number)

    def _lost(self, number: int, task: _Task, event: Mapping[str, Any]) -> None:
        key = task.phase.key
        self.losses[key] += 1
        if self.losses[key] > LOSSES:
            self._fail(number, str(event["error"]))
            return
        for address in event["addresses"]:
            self.observe(Event("artifact-lost", {"key": key, "address": address, "error": str(event["error"])}))
        addresses = set(event["addresses"])
        lost = [parent for parent in task.phase.parents if parent.address in addresses]
        self._make_again(lost, behind=self.graph.path(number))
        self._wait_for_parents(number)

    def _make_again(self, lost: Iterable[Ref], behind: float) -> None:
        """Plan to make outputs that are gone, with all that this takes, for a phase with so much work behind it."""
        new: dict[str, tuple[Ref, ...]] = {}
        stack = list(lost)
        while stack:
            ref = stack.pop()
            # Somebody else, who shares the store, may have made it again.
            number = self.numbers.get(ref.key)
            planned = new.get(ref.key, ()) if number is None else (*self.tasks[number].outputs, *new.get(ref.key, ()))
            if _among(ref, planned) or self.store.has(ref.address):
                continue
            self.lost.add(ref.address)
            if number is not None and (number in self.graph or self.execution.error_of(ref.key) is not None):
                self.tasks[number].outputs += (ref,)
            elif ref.key in new:
                new[ref.key] += (ref,)
            else:
                new[ref.key] = (ref,)
                stack += self.phases[ref.key].parents
        self._plant(new, behind)

    def _wait_for_parents(self, number: int) -> None:
        """A phase that was taken waits for what it needs; it is skipped where that failed."""
        task = self.tasks[number]
        makers = self._makers(task)
        failed = next((self.tasks[maker].phase.key for maker in makers if maker not in self.graph), None)
        if failed is not None:
            key = task.phase.key
            self.execution.skipped[key] = self.execution.skipped.get(failed, failed)
            self._drop(number, self.execution.skipped[key])
        elif makers:
            self.graph.wait(number, makers)
        else:
            self.graph.put_back(number)

    def _fail(self, number: int, error: str, trace: str | None = None) -> None:
        key = self.tasks[number].phase.key
        self.execution.failed[key] = error
        self.observe(Event("phase-failed", {"key": key, "error": error, "traceback": trace or ""}))
        self._drop(number, key)

    def _drop(self, number: int, failed: str) -> None:
        for one in (number, *(below := self.graph.drop(number))):
            task = self.tasks[one]
            self.forecast.drop(task.phase.key, task.kind, task.cost)
        for child in below:
            self.execution.skipped[self.tasks[child].phase.key] = failed

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


def _among(ref: Ref, outputs: Iterable[Ref]) -> bool:
    """Whether an output is one of some; by address, which a plan has made out."""
    address = ref.address
    for output in outputs:  # noqa: SIM110 (a generator takes three times as long, at every link of a plan)
        if output.address == address:
            return True
    return False


def pace_name(store: Store) -> str:
    """Under which name a store keeps how fast work went in its environment."""
    return f"pace-{store.environment.id}"
