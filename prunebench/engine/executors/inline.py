"""Work in the calling process."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Resources, WorkerConfig
from prunebench.engine.executors.worker import _Worker


class InlineExecutor:
    """Does the work in the calling process, a piece for each call of `events`."""

    def __init__(self, site: WorkerConfig, catalogue: Catalogue | None = None) -> None:
        self._worker = _Worker(site, catalogue)
        self._queue: deque[str] = deque()
        self._cancelled: list[str] = []

    @property
    def free(self) -> int:
        """One, once the queue is empty."""
        return 0 if self._queue else 1

    def submit(self, work: str, resources: Resources) -> str:
        """See Executor.submit."""
        self._queue.append(work)
        key: str = json.loads(work)["key"]
        return key

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """See Executor.events."""
        if self._cancelled:
            ended, self._cancelled = self._cancelled, []
            return [{"kind": "cancelled", "key": key} for key in ended]
        if not self._queue:
            time.sleep(timeout)
            return []
        work = self._queue.popleft()
        key = json.loads(work)["key"]
        found: list[dict[str, Any]] = [{"kind": "started", "key": key}]

        class Collect:
            def progress(self, fields: Mapping[str, Any]) -> None:
                found.append({"kind": "progress", "key": key, **fields})

        found.append(self._worker.do(work, Collect()))
        return found

    def cancel(self, key: str) -> None:
        """Drops it from the queue. Nothing runs between two calls of `events`: what Ctrl-C stopped is already over."""
        self._queue = deque(w for w in self._queue if json.loads(w)["key"] != key)
        self._cancelled.append(key)

    def shutdown(self) -> None:
        """Nothing to end."""
