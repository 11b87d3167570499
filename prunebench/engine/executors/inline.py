"""Work in the calling process."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.executors.worker import Worker, WorkerConfig
from prunebench.engine.work import CancelledError, Work


class InlineExecutor:
    """Does the work in the calling process, a piece for each call of `events`."""

    def __init__(self, config: WorkerConfig, catalogue: Catalogue) -> None:
        self._worker = Worker(config, catalogue)
        self._queue: deque[tuple[str, str]] = deque()
        self._cancelled: set[str] = set()
        self._interrupted: str | None = None

    def capacity(self) -> list[Capacity]:
        """See Executor.capacity."""
        return [Capacity(self._worker.environment, 1)]

    def has_room(self, resources: Resources) -> bool:
        """See Executor.has_room: for one, once the queue is empty."""
        return not self._queue

    def submit(self, work: Work, resources: Resources) -> None:
        """See Executor.submit."""
        self._cancelled.discard(work.key)
        # As JSON here too: what a worker of another process would be given, and no object that both sides hold.
        self._queue.append((work.key, json.dumps(work.to_json())))

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """See Executor.events. Ctrl-C comes out of it in the middle of work, which is over then."""
        if self._interrupted is not None:
            key, self._interrupted = self._interrupted, None
            return [{"kind": "cancelled", "key": key}]
        if not self._queue:
            time.sleep(timeout)
            return []
        key, work = self._queue.popleft()
        if key in self._cancelled:
            return [{"kind": "cancelled", "key": key}]
        events: list[dict[str, Any]] = [{"kind": "started", "key": key}]
        try:
            events.append(self._worker.do(work, _Collector(key, events, self._cancelled), interruptible=True))
        except KeyboardInterrupt:
            self._interrupted = key
            raise
        return events

    def cancel(self, key: str) -> None:
        """See Executor.cancel."""
        self._cancelled.add(key)

    def shutdown(self) -> None:
        """Nothing to end."""


class _Collector:
    """Keeps the progress of a piece of work until it has ended, and stops it when it was cancelled meanwhile."""

    def __init__(self, key: str, events: list[dict[str, Any]], cancelled: set[str]) -> None:
        self._key, self._events, self._cancelled = key, events, cancelled

    def progress(self, fields: Mapping[str, Any]) -> None:
        """See Channel.progress."""
        if self._key in self._cancelled:
            raise CancelledError
        self._events.append({"kind": "progress", "key": self._key, **fields})
