"""Work on other machines: a pool of hosts, whichever way they are reached."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from prunebench.api.errors import WorkerError
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.executors.local import ENDS
from prunebench.engine.work import Work
from prunebench.store.environment import Environment

BEGINNINGS = 3
"""How many hosts in a row may end before they are ready."""
GRACE_SECONDS = 60.0
"""How long hosts that are slower to start are waited for once one is ready."""


class LostHostError(Exception):
    """A host has ended; the text says how."""


class Link(Protocol):
    """The way to one host."""

    def submit(self, work: str, resources: dict[str, Any]) -> None:
        """See Host.submit. Never fails: what is lost is told by `received`."""
        ...

    def cancel(self, key: str) -> None:
        """See Host.cancel."""
        ...

    def received(self) -> list[dict[str, Any]]:
        """The events that have come, at first "ready" or "refused". Waits for nothing. Raises LostHostError."""
        ...

    def close(self) -> None:
        """End the host. May be called again."""
        ...


class Transport(Protocol):
    """Starts hosts and hears from them."""

    where: str
    """For errors, such as "the Ray cluster at 10.0.0.1:6379"."""

    def open(self) -> Link:
        """Have another host started, some time."""
        ...

    def wait(self, links: Sequence[Link], timeout: float) -> None:
        """Return as soon as one of these may have something to tell, or after so many seconds."""
        ...

    def close(self) -> None:
        """Once all hosts are ended."""
        ...


@dataclass(eq=False)
class _Host:
    """What is known of a host."""

    link: Link
    environment: Environment | None = None
    hardware: Mapping[str, Any] | None = None
    work: dict[str, str] = field(default_factory=dict)
    """What it works on: keys by lane."""
    began: set[str] = field(default_factory=set)


class HostsExecutor:
    """Hosts on other machines. One that ends is replaced.

    Args:
        lanes: what a host does at the same time: "all" work one after another, or what needs its "device" beside what
            the "processor" does.
        patience: seconds for which there may be no host for work that waits.
    """

    def __init__(self, transport: Transport, hosts: int, lanes: Sequence[str], patience: float) -> None:
        self._transport, self._lanes, self._patience = transport, tuple(lanes), patience
        self._capacity: list[Capacity] | None = None
        self._events: list[dict[str, Any]] = []
        self._cancelled: list[str] = []
        self._lost_early = 0
        self._refused_at: float | None = None
        self._hosts = [_Host(transport.open()) for _ in range(hosts)]

    def capacity(self) -> list[Capacity]:
        """See Executor.capacity: what hosts tell when they start. Those that are late wait for no one."""
        if self._capacity is None:
            began, first = time.monotonic(), None
            while any(host.environment is None for host in self._hosts):
                now = time.monotonic()
                if first is None and any(host.environment is not None for host in self._hosts):
                    first = now
                if first is not None and now - first > GRACE_SECONDS:
                    break
                if first is None and now - began > self._patience:
                    raise WorkerError(f"{self._transport.where}: no worker got going in {self._patience:,.0f} s")
                self._hear(1.0)
            ready = [(host.environment, host.hardware) for host in self._hosts if host.environment is not None]
            counts = Counter(environment.id for environment, _ in ready)
            known = {environment.id: (environment, hardware) for environment, hardware in reversed(ready)}
            order = sorted(counts, key=lambda name: (-counts[name], name))
            self._capacity = [Capacity(known[name][0], counts[name], known[name][1]) for name in order]
        return self._capacity

    def has_room(self, resources: Resources) -> bool:
        """See Executor.has_room."""
        if self._capacity is None:
            self.capacity()
        free = self._free(resources) is not None
        if free or any(host.work for host in self._hosts):
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = time.monotonic()
        return free

    def submit(self, work: Work, resources: Resources) -> None:
        """See Executor.submit."""
        with suppress(ValueError):
            self._cancelled.remove(work.key)  # meant for an earlier try
        found = self._free(resources)
        assert found is not None, "work was submitted where there is no room"
        host, lane = found
        host.work[lane] = work.key
        host.link.submit(json.dumps(work.to_json()), asdict(resources))

    def events(self, timeout: float) -> list[dict[str, Any]]:
        """See Executor.events.

        Raises:
            WorkerError: there has been no host for work that waits, and none came.
        """
        keys, self._cancelled = self._cancelled, []
        for host in self._hosts:
            for key in keys:
                if key in host.work.values():
                    host.link.cancel(key)
        if not self._events:
            self._hear(timeout)
        if self._refused_at is not None and time.monotonic() - self._refused_at > self._patience:
            there = ", ".join(sorted({h.environment.id for h in self._hosts if h.environment is not None})) or "none"
            raise WorkerError(
                f"{self._transport.where}: for {self._patience:,.0f} s there has been no worker for the work that is "
                f"left (environments of those that there are: {there}). What is done is stored; run again when "
                "machines like the earlier ones are back"
            )
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See Executor.cancel. The next call of `events` sends it."""
        self._cancelled.append(key)

    def shutdown(self) -> None:
        """See Executor.shutdown."""
        hosts, self._hosts = self._hosts, []
        for host in hosts:
            host.link.close()
        self._transport.close()

    def _free(self, resources: Resources) -> tuple[_Host, str] | None:
        lane = "all" if "all" in self._lanes else "device" if resources.device > 0 else "processor"
        for host in self._hosts:
            here = host.environment
            if here is None or lane in host.work or resources.environment not in (None, here.id):
                continue
            return host, lane
        return None

    def _hear(self, timeout: float) -> None:
        waited_for = [host for host in self._hosts if host.work or host.environment is None]
        if waited_for:
            self._transport.wait([host.link for host in waited_for], timeout)
        else:
            time.sleep(min(timeout, 0.01))
        for host in waited_for:
            try:
                events = host.link.received()
            except LostHostError as lost:
                self._replace(host, str(lost))
                continue
            for event in events:
                self._heard(host, event)

    def _heard(self, host: _Host, event: dict[str, Any]) -> None:
        if event["kind"] == "refused":
            raise WorkerError(str(event["error"]))
        if event["kind"] == "ready":
            self._lost_early = 0
            environment = Environment(event["environment"])
            if self._capacity is None or environment.id in {one.environment.id for one in self._capacity}:
                host.environment, host.hardware = environment, event.get("hardware")
            else:
                # No chain was given to its kind of machine, and a chain stays where it is.
                self._replace(host, f"it computes in another environment ({environment.id})")
            return
        host.began.add(event["key"])
        if event["kind"] in (*ENDS, "died"):
            host.began.discard(event["key"])
            host.work = {lane: key for lane, key in host.work.items() if key != event["key"]}
        self._events.append(event)

    def _replace(self, host: _Host, error: str) -> None:
        """Another host in place of one that has ended, whose work died with it."""
        if host.environment is None:
            self._lost_early += 1
            if self._lost_early >= BEGINNINGS:
                raise WorkerError(f"{self._transport.where}: {error}; so did {BEGINNINGS - 1} others before it")
        for key in host.work.values():
            self._events.append({"kind": "died", "key": key, "error": error, "began": key in host.began})
        host.link.close()
        self._hosts[self._hosts.index(host)] = _Host(self._transport.open())
