"""Carries a plan out: only what is missing, as soon as its parents are done, the longest chains first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prunebench.api.errors import StoreError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.work import Work
from prunebench.plan.demand import demanded
from prunebench.plan.trial import Plan
from prunebench.store.store import Store

PATIENCE = 15.0
"""Seconds that running work gets to checkpoint after Ctrl-C."""
RETRIES = 3
"""How often a phase may lose a parent before it counts as failed."""


class InterruptedRunError(Exception):
    """Stopped on request; what was done is stored."""

    def __init__(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        super().__init__(f"{done} of {total} phases done")


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
    resources: Resources,
    observe: Callable[[Event], None] = lambda event: None,
) -> Execution:
    """Make every output that the plan's results rest on and the store lacks.

    Raises:
        StoreError: the store cannot be written; nothing else can succeed.
        InterruptedRunError: on Ctrl-C, after running work was checkpointed.
    """
    return _Scheduler(plan, store, executor, resources, observe).run()


class _Scheduler:
    def __init__(
        self, plan: Plan, store: Store, executor: Executor, resources: Resources, observe: Callable[[Event], None]
    ) -> None:
        self.plan, self.store, self.executor = plan, store, executor
        self.resources, self.observe = resources, observe
        self.execution = Execution()
        self.running: set[str] = set()
        self.not_before: dict[str, float] = {}
        self.lost: dict[str, int] = {}
        self.missing: dict[str, frozenset[Ref]] = {}
        self.height: dict[str, int] = {}
        self.total = 0

    def run(self) -> Execution:
        began = time.monotonic()
        self._look_what_is_missing()
        self.total = len(self.missing)
        self.observe(Event("run-started", {"phases": self.total, "runs": self._runs_missing()}))
        try:
            while self.missing:
                self._start()
                for event in self.executor.events(0.2):
                    self._handle(event)
        except KeyboardInterrupt:
            self._stop()
            raise InterruptedRunError(self.execution.done, self.total) from None
        self.execution.seconds = time.monotonic() - began
        self.observe(Event("run-finished", {"done": self.execution.done, "failed": len(self.execution.failed)}))
        return self.execution

    def _runs_missing(self) -> int:
        return sum(self.plan.phases[key].kind == "train" for key in self.missing)

    def _look_what_is_missing(self) -> None:
        ended = self.execution.failed.keys() | self.execution.skipped.keys()
        wanted = demanded(
            dict(self.plan.phases), list(self.plan.sinks), lambda r: r.key in ended or self.store.has(r.address)
        )
        self.missing = {k: v for k, v in wanted.items() if k not in ended}
        self.height = {}
        # Children come after their parents: walking backwards, each phase knows what hangs on it, itself included.
        for key in reversed(list(self.missing)):
            own = self.height.get(key, 0) + (1 if self.plan.phases[key].kind == "train" else 0)
            self.height[key] = own
            for parent in self.plan.phases[key].parents:
                self.height[parent.key] = max(self.height.get(parent.key, 0), own)
        self.order = sorted(self.missing, key=lambda k: -self.height[k])

    def _start(self) -> None:
        now = time.monotonic()
        for key in self.order:
            if self.executor.free < 1:
                return
            if key not in self.missing or key in self.running or self.not_before.get(key, 0) > now:
                continue
            if any(parent.key in self.missing for parent in self.plan.phases[key].parents):
                continue
            work = Work.of(self.plan, self.plan.phases[key], self.missing[key])
            self.running.add(key)
            self.executor.submit(json.dumps(work.to_json()), self.resources)

    def _handle(self, event: Mapping[str, Any]) -> None:
        kind, key = event["kind"], event["key"]
        if kind in ("started", "progress"):
            name = "phase-started" if kind == "started" else "progress"
            self.observe(Event(name, {"phase": self.plan.phases[key].kind, **event}))
            return
        self.running.discard(key)
        if kind == "done":
            self.missing.pop(key, None)
            self.execution.done += 1
            self.observe(Event("phase-done", {"phase": self.plan.phases[key].kind, **event}))
        elif kind == "busy":
            self.not_before[key] = time.monotonic() + 0.3
        elif kind == "lost":
            self.lost[key] = self.lost.get(key, 0) + 1
            if self.lost[key] > RETRIES:
                self._fail(key, str(event["error"]))
            else:
                self.observe(Event("artifact-lost", dict(event)))
                self._look_what_is_missing()
                self.total = self.execution.done + len(self.missing)
        elif kind == "failed":
            if event.get("fatal"):
                self._stop()
                raise StoreError(str(event["error"]))
            self._fail(key, str(event["error"]), event.get("traceback"))

    def _fail(self, key: str, error: str, trace: str | None = None) -> None:
        self.missing.pop(key, None)
        self.execution.failed[key] = error
        self.observe(Event("phase-failed", {"key": key, "error": error, "traceback": trace or ""}))
        ended = {key}
        for child in list(self.missing):
            # Parents come first in `missing`, so one pass reaches every descendant.
            if any(parent.key in ended for parent in self.plan.phases[child].parents):
                ended.add(child)
                self.missing.pop(child)
                self.execution.skipped[child] = key

    def _stop(self) -> None:
        """Let running work checkpoint; a second Ctrl-C does not wait for it."""
        for key in self.running:
            self.executor.cancel(key)
        deadline = time.monotonic() + PATIENCE
        try:
            while self.running and time.monotonic() < deadline:
                for event in self.executor.events(0.2):
                    if event["kind"] not in ("started", "progress"):
                        self.running.discard(event["key"])
                        self.execution.done += event["kind"] == "done"
        except KeyboardInterrupt:
            return
