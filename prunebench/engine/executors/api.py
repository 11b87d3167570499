"""What carries out work: six calls; work goes in as JSON, artifacts come out in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prunebench.engine.work import Work
from prunebench.store.environment import Environment


@dataclass(frozen=True)
class Resources:
    """What a piece of work needs while it runs.

    Args:
        device: the share of a device that it keeps busy; 0 for work that the processor does.
        threads: threads that it computes with.
        memory: bytes that its process may hold at most; None for no limit.
        alone: whether nothing else of the run may work beside it.
        environment: the id of the environment that it must be done in; None for any.
    """

    device: float = 1.0
    threads: int = 1
    memory: int | None = None
    alone: bool = False
    environment: str | None = None


@dataclass(frozen=True)
class Capacity:
    """Slots for work that needs a device, of one environment.

    Args:
        hardware: of a machine that has some; None for this one.
    """

    environment: Environment
    slots: int
    hardware: Mapping[str, str | int | float] | None = None


class Executor(Protocol):
    """Carries out work. What happens to it is told by events: dicts of JSON with "kind" and "key".

    A piece of work begins with at most one "started", may have "progress", and ends with exactly one of:

    - "done", with "seconds", and whether it was the "first" work of its worker;
    - "busy": another process has it, with "holder" (pid, host, since) where that is known;
    - "lost": parents must be made again, with their "addresses" and an "error";
    - "cancelled": it was asked to stop and has checkpointed;
    - "died": its process ended, with "error" and "began" (whether it had come as far as the work);
    - "failed": with "error" and perhaps a "traceback"; with "fatal", "store" or "worker", if nothing else can succeed
      either.
    """

    def capacity(self) -> Sequence[Capacity]:
        """The environments that work can be done in, the one with the most slots first; the same at every call.

        Waits until workers have told theirs, where nobody else knows.

        Raises:
            WorkerError: there are no workers, or they are not what the sender of the work counts on.
        """
        ...

    def has_room(self, resources: Resources) -> bool:
        """Whether a piece of work that needs this can start now. Cheap."""
        ...

    def submit(self, work: Work, resources: Resources) -> None:
        """Start a piece of work, which travels as its JSON. Only where there is room."""
        ...

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """What happened since the last call; waits for up to `timeout` seconds for something."""
        ...

    def cancel(self, key: str) -> None:
        """Ask a piece of work to stop, which checkpoints first. May be called from a signal handler."""
        ...

    def shutdown(self) -> None:
        """End everything at once. May be called again."""
        ...
