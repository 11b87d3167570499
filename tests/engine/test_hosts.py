"""The pool of hosts on made-up machines: what is lost is replaced, a number of times, and nothing waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.bare_phases import bare_phase
from prunebench.api.errors import WorkerError
from prunebench.engine.executors import hosts
from prunebench.engine.executors.api import Resources
from prunebench.engine.executors.hosts import HostsExecutor, Link, LostHostError
from prunebench.engine.work import Work
from prunebench.store.environment import Environment

A, B = Environment({"device": "a"}), Environment({"device": "b"})


def ready(environment: Environment) -> dict[str, Any]:
    return {"kind": "ready", "environment": dict(environment.fields), "hardware": {"cpu": "made up"}}


class FakeLink:
    """A host that says what it is told to."""

    def __init__(self, *events: dict[str, Any] | Exception) -> None:
        self.events: list[dict[str, Any] | Exception] = list(events)
        self.sent: list[tuple[str, str]] = []
        self.closed = False

    def submit(self, work: str, resources: dict[str, Any]) -> None:
        self.sent.append(("submit", work))

    def cancel(self, key: str) -> None:
        self.sent.append(("cancel", key))

    def received(self) -> list[dict[str, Any]]:
        found = []
        while self.events:
            event = self.events.pop(0)
            if isinstance(event, Exception):
                self.events.insert(0, event)
                if found:
                    break
                raise event
            found.append(event)
        return found

    def close(self) -> None:
        self.closed = True


class FakeTransport:
    """Starts the hosts that it is given, and then more of the last kind."""

    where = "the made-up cluster"

    def __init__(self, *made: Callable[[], FakeLink]) -> None:
        self._made = list(made)
        self.links: list[FakeLink] = []
        self.closed = False

    def open(self) -> Link:
        make = self._made.pop(0) if len(self._made) > 1 else self._made[0]
        self.links.append(make())
        return self.links[-1]

    def wait(self, links: Sequence[Link], timeout: float) -> None:
        """Everything is there at once."""

    def close(self) -> None:
        self.closed = True


def work(number: int) -> Work:
    return Work(bare_phase(str(number), "init"), ())


def of(environment: Environment) -> Callable[[], FakeLink]:
    return lambda: FakeLink(ready(environment))


def test_environments_are_those_that_hosts_tell_the_most_slots_first() -> None:
    executor = HostsExecutor(FakeTransport(of(B), of(A), of(A)), 3, ["all"], 10)
    assert [(one.environment.id, one.slots) for one in executor.capacity()] == [(A.id, 2), (B.id, 1)]
    assert executor.capacity()[0].hardware == {"cpu": "made up"}


def test_work_goes_to_a_host_of_its_environment_and_lane() -> None:
    transport = FakeTransport(of(A), of(B))
    executor = HostsExecutor(transport, 2, ["device", "processor"], 10)
    executor.capacity()
    executor.submit(work(1), Resources(environment=B.id))
    assert not executor.has_room(Resources(environment=B.id))
    assert executor.has_room(Resources(device=0.0, environment=B.id))
    assert executor.has_room(Resources(environment=A.id))
    assert [len(link.sent) for link in transport.links] == [0, 1]


def test_a_lost_host_is_replaced_and_its_work_has_died() -> None:
    transport = FakeTransport(of(A))
    executor = HostsExecutor(transport, 1, ["all"], 10)
    executor.capacity()
    one = work(1)
    executor.submit(one, Resources())
    transport.links[0].events += [{"kind": "started", "key": one.key}, LostHostError("the node is gone")]
    events = [*executor.events(0), *executor.events(0)]
    assert events == [
        {"kind": "started", "key": one.key},
        {"kind": "died", "key": one.key, "error": "the node is gone", "began": True},
    ]
    assert transport.links[0].closed
    executor.events(0)
    assert executor.has_room(Resources())


def test_hosts_that_never_get_ready_end_the_run() -> None:
    transport = FakeTransport(lambda: FakeLink(LostHostError("no module named prunebench")))
    executor = HostsExecutor(transport, 2, ["all"], 10)
    with pytest.raises(WorkerError, match=r"the made-up cluster: no module named prunebench; so did 2 others"):
        executor.capacity()


def test_a_host_that_refuses_ends_the_run_with_its_reason() -> None:
    refusal = {"kind": "refused", "error": "it has other components"}
    with pytest.raises(WorkerError, match="it has other components"):
        HostsExecutor(FakeTransport(lambda: FakeLink(refusal)), 1, ["all"], 10).capacity()


def test_without_any_host_a_run_ends_once_its_patience_does() -> None:
    executor = HostsExecutor(FakeTransport(FakeLink), 1, ["all"], 0.05)
    with pytest.raises(WorkerError, match="no worker got going"):
        executor.capacity()


def test_late_hosts_wait_for_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "GRACE_SECONDS", 0.0)
    executor = HostsExecutor(FakeTransport(of(A), FakeLink), 2, ["all"], 10)
    assert [one.slots for one in executor.capacity()] == [1]


def test_a_host_of_another_environment_than_the_run_began_with_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "GRACE_SECONDS", 0.0)
    transport = FakeTransport(of(A), FakeLink, of(A))
    executor = HostsExecutor(transport, 2, ["all"], 10)
    executor.capacity()
    transport.links[1].events.append(ready(B))
    executor.events(0)
    assert transport.links[1].closed
    executor.events(0)
    executor.submit(work(1), Resources())
    assert executor.has_room(Resources(environment=A.id))
    assert not executor.has_room(Resources(environment=B.id))


def test_work_whose_machines_do_not_come_back_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = FakeTransport(of(A), of(B), FakeLink)
    executor = HostsExecutor(transport, 2, ["all"], 0.05)
    executor.capacity()
    one = work(1)
    executor.submit(one, Resources(environment=B.id))
    transport.links[1].events.append(LostHostError("gone"))
    (event,) = executor.events(0)
    assert event["kind"] == "died"
    assert not executor.has_room(Resources(environment=B.id))
    assert executor.events(0) == []
    time.sleep(0.1)
    with pytest.raises(WorkerError, match="there has been no worker for the work that is left"):
        executor.events(0)


def test_a_cancel_is_sent_to_whoever_has_the_work_and_dropped_where_nobody_has() -> None:
    transport = FakeTransport(of(A))
    executor = HostsExecutor(transport, 1, ["all"], 10)
    executor.capacity()
    one = work(1)
    executor.cancel(one.key)
    executor.submit(one, Resources())
    executor.events(0)
    assert [kind for kind, _ in transport.links[0].sent] == ["submit"]
    executor.cancel(one.key)
    executor.events(0)
    assert transport.links[0].sent[-1] == ("cancel", one.key)


def test_at_the_end_every_host_and_the_transport_are_closed() -> None:
    transport = FakeTransport(of(A))
    executor = HostsExecutor(transport, 3, ["all"], 10)
    executor.shutdown()
    executor.shutdown()
    assert all(link.closed for link in transport.links)
    assert transport.closed
