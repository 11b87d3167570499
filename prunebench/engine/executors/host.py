"""One slot on another machine: a worker process there, and beside one with a GPU another that holds none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prunebench.api.errors import WorkerError
from prunebench.engine.executors.api import Resources
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.slots import VISIBLE, Slot
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.engine.work import Work
from prunebench.kernels.hardware import hardware
from prunebench.store.environment import Environment

READY_SECONDS = 600.0
"""How long a worker process may take to import what it needs: a network file system under load is slow."""


class Host:
    """Has its work done in processes of their own, so that it can tell how they ended. Takes and gives text alone.

    Args:
        config: a WorkerConfig, as text.
        silence: see LocalExecutor.
    """

    def __init__(self, config: str, silence: float) -> None:
        self._config = WorkerConfig.from_text(config)
        does = "all" if self._config.device == "cpu" else "device"
        expected = Environment(self._config.environment) if self._config.environment else None
        self._local = LocalExecutor(self._config, [Slot(self._config.device, {}, expected, does)], silence)
        self._resources = Resources()

    def ready(self) -> str:
        """The event that it is "ready", with the fields of its environment, or that it "refused", with an error."""
        try:
            environment = self._local.environment(READY_SECONDS)
        except WorkerError as error:
            return json.dumps({"kind": "refused", "error": str(error)})
        if self._config.device != "cpu":
            self._local.add(Slot("cpu", {VISIBLE: ""}, environment, "processor"))
        return json.dumps({"kind": "ready", "environment": dict(environment.fields), "hardware": hardware()})

    def submit(self, work: str, resources: Mapping[str, Any]) -> None:
        """See Executor.submit."""
        # That the work is meant for this environment is known to whoever chose this host.
        needs = replace(Resources(**resources), environment=None)
        self._local.submit(Work.from_json(json.loads(work)), needs)

    def events(self, timeout: float) -> str:
        """See Executor.events: a list, as text."""
        return json.dumps(self._local.events(timeout))

    def cancel(self, key: str) -> None:
        """See Executor.cancel."""
        self._local.cancel(key)

    def shutdown(self) -> None:
        """See Executor.shutdown."""
        self._local.shutdown()
