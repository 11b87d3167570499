"""Work in processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from prunebench.api.errors import PrunebenchError, WorkerError
from prunebench.components.left_threads import left_by_others
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.executors.memory import held_memory
from prunebench.engine.executors.nursery import born, nursery, warm
from prunebench.engine.executors.slots import Slot, capacity_of
from prunebench.engine.executors.worker import Worker, WorkerConfig
from prunebench.engine.work import CancelledError, Work
from prunebench.store.environment import Environment

PROGRESS_SECONDS = 0.2
"""At most this often a worker tells how far it is."""
CHECK_SECONDS = 0.5
"""At most this often workers are looked at from outside."""
ENDS = ("done", "failed", "lost", "busy", "cancelled")
"""Kinds of events after which a worker is free."""
SACRIFICE = "800"
"""Of a full memory's victims, the kernel is to choose a worker before anything else (-1000 to 1000)."""


class _PipeChannel:
    """A worker's side of its pipe: tells progress now and then, and learns that it must stop."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self.connection = connection
        self.key = ""
        self._sent = 0.0
        self._measured: list[Any] = []

    def began(self) -> None:
        """Another piece of work: what was measured in the last one and not told is in its results."""
        self._measured = []

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Send, unless that was a moment ago. Raises CancelledError."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if message is None or message == ("cancel", self.key):
                    raise CancelledError
            self._measured += fields.get("measured", ())
            now = time.monotonic()
            if now - self._sent >= PROGRESS_SECONDS:
                self._sent = now
                measured = {"measured": self._measured} if self._measured else {}
                self.connection.send({"kind": "progress", "key": self.key, **fields, **measured})
                self._measured = []
        except (EOFError, OSError):
            raise CancelledError from None  # the parent is gone: what is done is kept for the next run


def _worker_main(connection: Connection[Any, Any], config: WorkerConfig, variables: Mapping[str, str]) -> None:
    # Before anything asks for a device: CUDA looks once which ones it may see.
    os.environ.clear()
    os.environ.update(variables)
    # Ctrl-C and the SIGTERM of a batch system reach the whole process group; the parent acts on them, and tells.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.dup2(2, 1)  # standard output is the command's own
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(SACRIFICE)
    try:
        try:
            worker = Worker(config)
        except PrunebenchError as error:
            connection.send({"kind": "refused", "error": str(error)})
            return
        connection.send({"kind": "ready", "environment": dict(worker.environment.fields)})
        channel, known = _PipeChannel(connection), threading.enumerate()
        while True:
            message = connection.recv()
            if message is None:
                return
            if message[0] != "work":
                continue
            _, channel.key, work = message
            channel.began()
            connection.send({"kind": "started", "key": channel.key})
            event = worker.do(work, channel)
            connection.send({**event, "last": bool(left_by_others(known))})
    except (EOFError, OSError):
        return  # the parent is gone: nobody waits for the answer


class _Process:
    """The parent's side of one worker process."""

    def __init__(self, context: Any, config: WorkerConfig, slot: Slot) -> None:
        self.slot = slot
        self.connection, theirs = context.Pipe()
        config = replace(config, device=slot.device, processor_only=slot.does == "processor")
        if slot.environment is not None:
            config = replace(config, environment=dict(slot.environment.fields))
        # A server may have been started long ago, with other variables.
        arguments = (theirs, config, {**os.environ, **slot.variables})
        offers = any(origin.module.partition(":")[0] == "__main__" for origin in config.origins)
        try:
            self.process = born(context, _worker_main, arguments, script=offers)
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self.key: str | None = None
        self.resources = Resources()
        self.began = False
        """Whether it has come as far as its work."""
        self.environment: Environment | None = None
        """That it computes in, once it has told."""
        self.seen = time.monotonic()
        """When it was last heard of."""


class LocalExecutor:
    """Worker processes on this machine, started when there is work for them. One that dies is replaced.

    Args:
        slots: one for each worker; a number means so many on the configured device, in its environment.
        silence: seconds that work may go on without a sign of progress before its worker is ended, and it fails.
    """

    def __init__(self, config: WorkerConfig, slots: int | Sequence[Slot], silence: float) -> None:
        if isinstance(slots, int):
            slots = [Slot(config.device, {}, Environment(config.environment) if config.environment else None)] * slots
        self._config, self._slots, self._silence = config, tuple(slots), silence
        self._context = nursery()
        warm()  # work is on its way
        self._workers: list[_Process] = []
        self._cancelled: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._checked = 0.0

    def capacity(self) -> list[Capacity]:
        """See Executor.capacity."""
        return capacity_of(self._slots)

    def add(self, slot: Slot) -> None:
        """One slot more."""
        self._slots = (*self._slots, slot)

    def has_room(self, resources: Resources) -> bool:
        """See Executor.has_room: where a slot that serves this has no work."""
        return self._free_slot(resources) is not None

    def environment(self, seconds: float) -> Environment:
        """What a worker of the first slot says of where it computes; one is started if there is none.

        Raises:
            WorkerError: it refuses, ends, or says nothing for so many seconds.
        """
        if not self._workers:
            self._workers.append(_Process(self._context, self._config, self._slots[0]))
        worker, deadline = self._workers[0], time.monotonic() + seconds
        events: list[dict[str, Any]] = []
        while worker.environment is None:
            if not worker.connection.poll(max(0.0, deadline - time.monotonic())):
                raise WorkerError(f"a worker process did not get ready within {seconds:,.0f} s")
            try:
                self._heard(worker, worker.connection.recv(), events)
            except (EOFError, OSError):
                raise WorkerError(str(self._bury(worker)["error"])) from None
            if events:
                raise WorkerError(str(events[0]["error"]))
        return worker.environment

    def submit(self, work: Work, resources: Resources) -> None:
        """See Executor.submit."""
        key = work.key
        with suppress(ValueError):
            self._cancelled.remove(key)  # meant for an earlier try
        for idle in [w for w in self._workers if w.key is None and w.slot.serves(resources)]:
            if self._give(idle, work, resources):
                return
            self._bury(idle)  # it ended while it had nothing to do; another takes its place
        slot = self._free_slot(resources)
        assert slot is not None, "work was submitted where there is no room"
        try:
            worker = _Process(self._context, self._config, slot)
        except OSError as error:
            text = f"a worker process cannot be started: {error.strerror or error}"
            self._events.append({"kind": "died", "key": key, "error": text, "began": False})
            return
        self._workers.append(worker)
        if not self._give(worker, work, resources):
            self._events.append(self._bury(worker))

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """See Executor.events."""
        events, self._events = self._events, []
        self._send_cancels()
        by_connection = {worker.connection: worker for worker in self._workers}
        if not by_connection:
            time.sleep(0 if events else timeout)
        for connection in wait(list(by_connection), 0 if events else timeout):
            worker = by_connection[connection]
            try:
                while worker.connection.poll():
                    self._heard(worker, worker.connection.recv(), events)
            except (EOFError, OSError):
                if worker in self._workers:
                    events.append(self._bury(worker))
        self._end_those_out_of_bounds(events)
        return [event for event in events if event["key"] is not None]

    def cancel(self, key: str) -> None:
        """See Executor.cancel. The next call of `events` sends it: a signal may come in the middle of a send."""
        self._cancelled.append(key)

    def shutdown(self) -> None:
        """End the workers; one that does not end by itself is killed."""
        for worker in self._workers:
            with suppress(OSError):
                worker.connection.send(None)
        for worker in self._workers:
            worker.process.join(0.1 if worker.key is not None else 2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers = []

    def _free_slot(self, resources: Resources) -> Slot | None:
        """A slot that serves this and has no work."""
        busy = [worker.slot for worker in self._workers if worker.key is not None]
        for slot in self._slots:
            if slot in busy:
                busy.remove(slot)  # equal slots are as many as they are
            elif slot.serves(resources):
                return slot
        return None

    def _give(self, worker: _Process, work: Work, resources: Resources) -> bool:
        worker.key, worker.resources, worker.began, worker.seen = work.key, resources, False, time.monotonic()
        try:
            worker.connection.send(("work", work.key, json.dumps(work.to_json())))
        except OSError:
            return False
        return True

    def _heard(self, worker: _Process, event: dict[str, Any], events: list[dict[str, Any]]) -> None:
        worker.seen = time.monotonic()
        if event["kind"] == "ready":
            worker.environment = Environment(event["environment"])
            return
        if event["kind"] == "refused":
            events.append({"kind": "failed", "key": worker.key, "error": event["error"], "fatal": "worker"})
            worker.key = None
            return
        worker.began = True
        if event["kind"] in ENDS:
            worker.key = None
            if event.pop("last", False):  # a component left a thread behind: what comes next gets another process
                self._workers.remove(worker)
                worker.process.kill()
                worker.process.join()
                worker.connection.close()
        events.append(event)

    def _send_cancels(self) -> None:
        keys, self._cancelled = self._cancelled, []
        for worker in self._workers:
            if worker.key in keys:
                with suppress(OSError):
                    worker.connection.send(("cancel", worker.key))

    def _bury(self, worker: _Process, why: str = "") -> dict[str, Any]:
        """Forget a worker that has ended, or is ended now; the event of its work."""
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        code = worker.process.exitcode
        self._workers.remove(worker)
        worker.connection.close()
        if code is not None and code < 0:
            hint = "; out of memory?" if code == -signal.SIGKILL else ""
            how = f"signal {-code} ({signal.strsignal(-code)}{hint})"
        else:
            how = f"exit code {code}"
        error = why or f"the worker process ended with {how}"
        return {"kind": "died", "key": worker.key, "error": error, "began": worker.began}

    def _end_those_out_of_bounds(self, events: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        if now - self._checked < CHECK_SECONDS:
            return
        self._checked = now
        for worker in list(self._workers):
            limit = worker.resources.memory
            held = 0 if limit is None else held_memory(worker.process.pid)
            if limit is not None and held > limit:
                worker.process.kill()
                why = f"the worker process held {held / 2**30:.1f} GiB of the {limit / 2**30:.1f} GiB that it may hold"
                events.append(self._bury(worker, why))
            elif worker.key is not None and now - worker.seen > self._silence:
                worker.process.kill()
                died = self._bury(worker, f"no sign of progress for {self._silence:,.0f} s; its worker was ended")
                # The next try would be as silent.
                events.append({"kind": "failed", "key": died["key"], "error": died["error"]})
