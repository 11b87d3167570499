"""Work in Slurm jobs: submitit submits one for each slot; messages are files of a folder that all machines share."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from prunebench.api.errors import WorkerError
from prunebench.engine.executors.host import Host
from prunebench.engine.executors.hosts import HostsExecutor, Link, LostHostError
from prunebench.engine.executors.local import ENDS
from prunebench.engine.executors.worker import WorkerConfig

POLL_SECONDS = 0.2
CHECKPOINT_SECONDS = 25.0
"""For which a job that is told to end lets its work checkpoint; Slurm's own patience is 30 s by default."""
ALIVE_SECONDS = 2.0
"""At most this often a job is asked whether it has ended."""


def slurm_executor(
    config: WorkerConfig,
    hosts: int,
    cluster: str,
    folder: Path,
    parameters: Mapping[str, Any],
    silence: float,
    patience: float,
) -> HostsExecutor:
    """Submit a job for each slot.

    Args:
        cluster: "slurm", or "local" for processes of this machine, which need no Slurm.
        folder: for messages and logs; every machine must see it.
        parameters: submitit's, such as {"slurm_partition": "gpu", "timeout_min": 240, "gpus_per_node": 1}.
    Raises:
        WorkerError: there is no Slurm here, or it has no such parameter.
    """
    import submitit

    if cluster == "slurm" and shutil.which("srun") is None:
        raise WorkerError(
            "execution.executor: there is no Slurm here (no `srun` on the path). Run on a machine that submits jobs, "
            'or write cluster = "local" to try the same in processes of this one'
        )
    folder = folder / f"jobs-{uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        executor = submitit.AutoExecutor(folder=folder / "logs", cluster=cluster)
        executor.update_parameters(name="prunebench", cpus_per_task=config.threads, **parameters)
    except (TypeError, NameError, ValueError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise WorkerError(f"execution.executor.parameters: {' '.join(str(error).split())}") from None
    on_gpu = config.device.startswith("cuda") or (config.device == "auto" and _asks_for_gpus(parameters))
    text = replace(config, device="cuda" if on_gpu else "cpu").to_text()
    transport = _JobTransport(executor, folder, text, silence, cluster)
    return HostsExecutor(transport, hosts, ("device", "processor") if on_gpu else ("all",), patience)


def _asks_for_gpus(parameters: Mapping[str, Any]) -> bool:
    return any("gpu" in name or "gres" in name for name, value in parameters.items() if value)


def serve(folder: str, config: str, silence: float) -> None:
    """What a job does: work as the messages in its folder say, until one says to end or the job is told to."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the second announces that the job's time is nearly over
        signal.signal(number, lambda signum, frame: ended.append(signum))
    inbox, outbox = _Inbox(Path(folder) / "in"), _Outbox(Path(folder) / "out")
    host = Host(config, silence)
    try:
        ready = json.loads(host.ready())
        outbox.put(ready)
        keys: set[str] = set()
        deadline = None
        while ready["kind"] == "ready":
            for message in inbox.take():
                match message["kind"]:
                    case "submit":
                        keys.add(message["key"])
                        host.submit(message["work"], message["resources"])
                    case "cancel":
                        host.cancel(message["key"])
                    case "end":
                        return
            for event in json.loads(host.events(POLL_SECONDS)):
                outbox.put(event)
                if event["kind"] in (*ENDS, "died"):
                    keys.discard(event["key"])
            if not inbox.there():
                return  # whoever sent the work has tidied up
            if ended and deadline is None:
                deadline = time.monotonic() + CHECKPOINT_SECONDS
                for key in keys:
                    host.cancel(key)
            if deadline is not None and (not keys or time.monotonic() > deadline):
                return
    finally:
        host.shutdown()


class _Outbox:
    """Writes messages, each a file that appears whole and is named by its number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: Iterator[int] = itertools.count()

    def put(self, message: Mapping[str, Any]) -> None:
        number = next(self._numbers)
        new = self._folder / f"{number:09d}.new"
        with suppress(FileNotFoundError):  # the reader has gone, and its folder with it
            new.write_text(json.dumps(message, allow_nan=False))
            os.replace(new, new.with_suffix(".json"))


class _Inbox:
    """Takes messages away, in their order: a file system may show a later one first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0

    def there(self) -> bool:
        """Whether the folder still is."""
        return self._folder.is_dir()

    def take(self) -> list[dict[str, Any]]:
        """The messages that have come since."""
        found = []
        while True:
            file = self._folder / f"{self._next:09d}.json"
            try:
                found.append(json.loads(file.read_text()))
            except FileNotFoundError:
                return found
            file.unlink(missing_ok=True)
            self._next += 1


class _JobLink:
    """A job and its two folders of messages."""

    def __init__(self, job: Any, folder: Path) -> None:
        self._job, self._folder = job, folder
        self._outbox, self._inbox = _Outbox(folder / "in"), _Inbox(folder / "out")
        self._asked = time.monotonic()

    def submit(self, work: str, resources: dict[str, Any]) -> None:
        """See Link.submit."""
        self._outbox.put({"kind": "submit", "key": json.loads(work)["key"], "work": work, "resources": resources})

    def cancel(self, key: str) -> None:
        """See Link.cancel."""
        self._outbox.put({"kind": "cancel", "key": key})

    def received(self) -> list[dict[str, Any]]:
        """See Link.received."""
        ended = False
        if time.monotonic() - self._asked > ALIVE_SECONDS:
            self._asked = time.monotonic()
            ended = self._job.done(force_check=False)
        events = self._inbox.take()
        if ended and not events:
            raise LostHostError(
                f"job {self._job.job_id} ended ({self._job.state}); its log is {self._job.paths.stderr}"
            )
        return events

    def close(self) -> None:
        """See Link.close."""
        self._outbox.put({"kind": "end"})
        with suppress(Exception):  # submitit's own errors: it has ended, or Slurm does not answer
            self._job.cancel(check=False)


class _JobTransport:
    """Submits jobs."""

    def __init__(self, executor: Any, folder: Path, config: str, silence: float, cluster: str) -> None:
        self.where = "Slurm" if cluster == "slurm" else "jobs on this machine"
        self._executor, self._folder = executor, folder
        self._config, self._silence = config, silence
        self._numbers = itertools.count()

    def open(self) -> Link:
        """See Transport.open."""
        own = self._folder / f"{next(self._numbers):06d}"
        for box in ("in", "out"):
            (own / box).mkdir(parents=True)
        return _JobLink(self._executor.submit(serve, str(own), self._config, self._silence), own)

    def wait(self, links: Sequence[Link], timeout: float) -> None:
        """See Transport.wait."""
        boxes = [link._folder / "out" for link in links if isinstance(link, _JobLink)]
        deadline = time.monotonic() + timeout
        while not any(any(box.glob("*.json")) for box in boxes) and time.monotonic() < deadline:
            time.sleep(min(0.05, timeout))

    def close(self) -> None:
        """See Transport.close: the messages go; the logs stay where a job left any word."""
        for own in self._folder.glob("[0-9]*"):
            shutil.rmtree(own, ignore_errors=True)
