"""What carries out work: four calls, JSON in, artifacts in the store out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prunebench.store.environment import Environment
from prunebench.store.store import Store


@dataclass(frozen=True)
class Resources:
    """What a piece of work needs."""

    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class WorkerConfig:
    """Where a worker finds its store, its data, and how often it checkpoints. Plain values, so that it travels."""

    store: str
    data_root: str
    device: str
    threads: int
    environment: Mapping[str, str | int]
    reuse: str
    checkpoint_seconds: float

    def open_store(self) -> Store:
        """The store."""
        return Store(Path(self.store), environment=Environment(self.environment), reuse=self.reuse)  # type: ignore[arg-type]


class Executor(Protocol):
    """Carries out work. Events are dicts with "kind" and "key": "started", "progress", "done" (with "seconds"),
    "busy" (another process has it), "lost" (with "address": a parent must be made again), "cancelled",
    "failed" (with "error", and "fatal" if nothing else can succeed either).
    """

    @property
    def free(self) -> int:
        """How many more pieces of work it can start now."""
        ...

    def submit(self, work: str, resources: Resources) -> str:
        """Start a piece of work (JSON); returns its key."""
        ...

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """What happened since the last call; waits for up to `timeout` seconds for something."""
        ...

    def cancel(self, key: str) -> None:
        """Ask a piece of work to stop; it checkpoints first, and a "cancelled" event follows."""
        ...

    def shutdown(self) -> None:
        """End everything at once."""
        ...
