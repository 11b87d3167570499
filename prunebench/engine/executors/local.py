"""Work in processes of this machine."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from typing import Any

from prunebench.engine.executors.api import Resources, WorkerConfig
from prunebench.engine.executors.worker import _Worker
from prunebench.engine.work import CancelledError

PROGRESS_SECONDS = 0.2
"""At most this often a worker tells how far it is."""


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


def _worker_main(connection: Connection[Any, Any], site: WorkerConfig) -> None:
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

    def __init__(self, context: Any, site: WorkerConfig) -> None:
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

    def __init__(self, site: WorkerConfig, workers: int) -> None:
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
