"""Where work is done: four calls, JSON in, artifacts in the store out. Local processes, or this one.

A distributed engine goes behind the same four calls: `submit`, `events`, `cancel`, `shutdown`.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from prunebench.catalogue import Catalogue
from prunebench.engine.environment import pin
from prunebench.engine.work import CancelledError, Channel, Work
from prunebench.errors import ConfigError, ContractError, DataMissing, LostArtifact, PlanError, StoreError
from prunebench.store import Environment, Store

PROGRESS_SECONDS = 0.2
"""At most this often a worker tells how far it is."""


@dataclass(frozen=True)
class Resources:
    """What a piece of work needs."""

    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Site:
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


class _Worker:
    """Does pieces of work one after another in this process."""

    def __init__(self, site: Site, catalogue: Catalogue | None = None) -> None:
        from prunebench.engine.assembly import Bench

        pin(site.device, site.threads)
        self.site = site
        self.bench = Bench(
            site.open_store(),
            Catalogue.load() if catalogue is None else catalogue,
            Path(site.data_root),
            site.device,
        )

    def do(self, text: str, channel: Channel) -> dict[str, Any]:
        """One piece of work; the event that ends it."""
        from prunebench.engine.phases import perform

        work = Work.from_json(json.loads(text))
        began = time.monotonic()
        try:
            with self.bench.store.lease(work.key) as lease:
                if not lease.try_acquire():
                    return {"kind": "busy", "key": work.key}
                perform(work, self.bench, channel, self.site.checkpoint_seconds)
        except CancelledError:
            return {"kind": "cancelled", "key": work.key}
        except LostArtifact as error:
            return {"kind": "lost", "key": work.key, "address": error.address, "error": str(error)}
        except StoreError as error:
            return {"kind": "failed", "key": work.key, "error": str(error), "fatal": True}
        except (ContractError, DataMissing, PlanError, ConfigError) as error:
            return {"kind": "failed", "key": work.key, "error": str(error), "fatal": False}
        except Exception as error:  # a plugin may raise anything; the other trials go on
            shown = "".join(traceback.format_exception(error)[-4:])
            message = f"{type(error).__name__}: {error}"
            return {"kind": "failed", "key": work.key, "error": message, "traceback": shown, "fatal": False}
        return {"kind": "done", "key": work.key, "seconds": time.monotonic() - began}


class InlineExecutor:
    """Does the work in the calling process, a piece for each call of `events`."""

    def __init__(self, site: Site, catalogue: Catalogue | None = None) -> None:
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


class _PipeChannel:
    """A worker's side of its pipe: tells progress now and then, and hears that it must stop."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self.connection = connection
        self.key = ""
        self._told = 0.0

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Send, unless that was a moment ago. Raises CancelledError."""
        if self.connection.poll():
            message = self.connection.recv()
            if message is None or message == ("cancel", self.key):
                raise CancelledError
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self.connection.send({"kind": "progress", "key": self.key, **fields})


def _worker_main(connection: Connection[Any, Any], site: Site) -> None:
    # Ctrl-C reaches the whole process group; only the parent acts on it, and tells.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker = _Worker(site)
        channel = _PipeChannel(connection)
        connection.send({"kind": "ready"})
        while True:
            message = connection.recv()
            if message is None:
                return
            if message[0] != "work":
                continue
            channel.key = json.loads(message[1])["key"]
            connection.send({"kind": "started", "key": channel.key})
            connection.send(worker.do(message[1], channel))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody waits for the answer


class _Process:
    """The parent's side of one worker process."""

    def __init__(self, context: Any, site: Site) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_worker_main, args=(theirs, site), daemon=True)
        # Ctrl-C reaches the whole process group, and a worker has not learned to ignore it while it still imports.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.key: str | None = None
        self.ready = False


class LocalExecutor:
    """Worker processes on this machine, each with pinned threads. One that dies is replaced; its work fails."""

    def __init__(self, site: Site, workers: int) -> None:
        self._site, self._size = site, workers
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Process] = []

    @property
    def free(self) -> int:
        """Workers that do nothing, counting those that are not started yet."""
        return self._size - sum(1 for w in self._workers if w.key is not None)

    def submit(self, work: str, resources: Resources) -> str:
        """See Executor.submit."""
        key: str = json.loads(work)["key"]
        for idle in [w for w in self._workers if w.key is None]:
            try:
                idle.connection.send(("work", work))
            except OSError:
                self._died(idle)  # it ended while it had nothing to do; another takes its place
            else:
                idle.key = key
                return key
        worker = _Process(self._context, self._site)
        self._workers.append(worker)
        worker.key = key
        worker.connection.send(("work", work))
        return key

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """See Executor.events."""
        found: list[dict[str, Any]] = []
        by_connection = {w.connection: w for w in self._workers}
        ready = wait(list(by_connection), timeout)
        if not self._workers:
            time.sleep(timeout)
        for connection in ready:
            worker = by_connection[connection]
            try:
                while worker.connection.poll():
                    event = worker.connection.recv()
                    if event["kind"] == "ready":
                        worker.ready = True
                        continue
                    if event["kind"] in ("done", "failed", "lost", "busy", "cancelled"):
                        worker.key = None
                    found.append(event)
            except (EOFError, ConnectionResetError):
                found += self._died(worker)
        return found

    def _died(self, worker: _Process) -> list[dict[str, Any]]:
        worker.process.join(5)
        code = worker.process.exitcode
        self._workers.remove(worker)
        worker.connection.close()
        if worker.key is None:
            return []
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        error = f"the worker process ended with {how}{hint}"
        # One that never got going will not get going for the next piece of work either.
        return [{"kind": "failed", "key": worker.key, "error": error, "fatal": not worker.ready}]

    def cancel(self, key: str) -> None:
        """See Executor.cancel."""
        for worker in self._workers:
            if worker.key == key:
                try:
                    worker.connection.send(("cancel", key))
                except (BrokenPipeError, OSError):
                    continue

    def shutdown(self) -> None:
        """End the workers; one that does not end by itself is killed."""
        for worker in self._workers:
            try:
                worker.connection.send(None)
            except (BrokenPipeError, OSError):
                continue
        for worker in self._workers:
            worker.process.join(0.1 if worker.key is not None else 2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers = []
