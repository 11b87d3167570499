# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""What holds for every store backend, whatever it keeps its blobs in."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prunebench.store.backend import Backend

CHILD = """
import json, os, sys, time
from importlib import import_module
opener, place = sys.argv[1:3]
module, _, name = opener.partition(":")
backend = getattr(import_module(module), name)(place)
def tell(value):
    print(json.dumps(value), flush=True)
def wait():
    assert sys.stdin.readline()
"""


class StoreBackendContract:
    """Laws of a backend. Subclasses say how it is opened; the same place is opened by other processes too.

    Nothing here knows of files: blobs are looked at through the seven calls alone.
    """

    opener: ClassVar[str]
    """"module:callable": given a place (a string), it returns the backend. It must import fast and without torch."""
    takeover_seconds: ClassVar[float] = 5.0
    """How long after its holder was killed a lease may still be held."""
    writers: ClassVar[int] = 8
    races: ClassVar[int] = 25
    kills: ClassVar[int] = 10
    many: ClassVar[int] = 120
    """More blobs than one answer of the backend lists, where that is bounded."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        """A fresh place."""
        return str(tmp_path / "place")

    @pytest.fixture
    def backend(self, place: str) -> Backend:
        """The backend of the place."""
        return self.open(place)

    def open(self, place: str) -> Backend:
        """Another backend of a place, as another process would open it."""
        module, _, name = self.opener.partition(":")
        backend: Backend = getattr(import_module(module), name)(place)
        return backend

    @pytest.fixture
    def child(self, place: str) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
        """Starts a process that has `backend`, and `tell` and `wait` to speak with."""
        started: list[subprocess.Popen[str]] = []

        def start(script: str) -> subprocess.Popen[str]:
            path = os.pathsep.join(p for p in sys.path if p)
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD + script, self.opener, place],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONPATH": path},
                )
            )
            return started[-1]

        yield start
        for process in started:
            process.kill()
            process.communicate()

    # Blobs.

    def test_what_was_written_is_read(self, backend: Backend, place: str) -> None:
        blobs = {"a": b"one", "folder/b.json": b"", "folder/deep/c-1_x": bytes(range(256)) * 1000}
        backend.replace(blobs)
        for name, data in blobs.items():
            assert backend.read(name) == self.open(place).read(name) == data

    def test_what_is_not_there_is_none(self, backend: Backend) -> None:
        assert backend.read("a") is None
        backend.replace({"a/b": b"1"})
        assert backend.read("a/c") is None

    def test_a_blob_of_another_size_than_it_must_have_is_not_read(self, backend: Backend) -> None:
        from prunebench.store.backend import UnreadableError

        backend.replace({"a": b"12345"})
        assert backend.read("a", 5) == b"12345"
        with pytest.raises(UnreadableError):
            backend.read("a", 4)

    def test_a_blob_is_created_once(self, backend: Backend, place: str) -> None:
        assert backend.create("a/b", b"first")
        assert not self.open(place).create("a/b", b"second")
        assert not backend.create("a/b", b"first")
        assert backend.read("a/b") == b"first"
        backend.remove("a/b")
        assert backend.create("a/b", b"third")
        assert backend.read("a/b") == b"third"

    def test_replacing_takes_the_place_of_what_was_there(self, backend: Backend) -> None:
        assert backend.create("a", b"created")
        backend.replace({"a": b"replaced", "b": b"new"})
        assert (backend.read("a"), backend.read("b")) == (b"replaced", b"new")

    def test_listing_names_what_lies_below_a_prefix_of_whole_parts(self, backend: Backend) -> None:
        blobs = {"a/b/c": b"1", "a/b/d/e": b"22", "a/bc": b"333", "z": b""}
        backend.replace(blobs)
        sizes = {name: len(data) for name, data in blobs.items()}
        assert dict(backend.list("")) == sizes
        assert dict(backend.list("a")) == {name: size for name, size in sizes.items() if name.startswith("a/")}
        assert dict(backend.list("a/b")) == {"a/b/c": 1, "a/b/d/e": 2}
        assert list(backend.list("nothing/here")) == []
        assert len(list(backend.list(""))) == len(blobs)

    def test_many_blobs_are_listed(self, backend: Backend) -> None:
        names = {f"many/{i:02x}/{i}" for i in range(self.many)}
        backend.replace(dict.fromkeys(names, b"x"))
        assert {name for name, _ in backend.list("many")} == names

    def test_a_blob_or_all_below_a_prefix_is_removed(self, backend: Backend) -> None:
        backend.replace({"a/b": b"", "a/c/d": b"", "a/c/e": b"", "ac": b""})
        backend.remove("a/b")
        backend.remove("a/c")
        backend.remove("a/never/was")
        assert [name for name, _ in backend.list("")] == ["ac"]
        assert backend.read("a/c/d") is None

    def test_what_is_set_aside_is_out_of_every_readers_way(self, backend: Backend) -> None:
        for round in range(2):
            backend.replace({"a/b": b"bad", "a/c": b"bad", "d": b"bad"})
            assert backend.set_aside("a")
            assert backend.set_aside("d")
            assert list(backend.list("")) == [], f"time {round + 1}"
            assert (backend.read("a/b"), backend.read("d")) == (None, None)
        assert backend.set_aside("a") is None
        assert backend.create("d", b"good")

    @pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/..", ".a", "a\n", "ä", "a.tmp", "a.bad"])
    def test_a_name_that_is_none_is_refused(self, backend: Backend, name: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: backend.read(name),
            lambda: backend.create(name, b""),
            lambda: backend.replace({name: b""}),
            lambda: backend.remove(name),
            lambda: backend.set_aside(name),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="is not a blob's name"):
                call()

    # Several processes.

    def test_of_writers_that_create_at_once_one_wins(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        script = f"""
tell("ready"); wait()
for race in range({self.races}):
    while time.time() < {{start}} + race * 0.04:
        pass
    tell(backend.create(f"race/{{{{race}}}}", b"%d" % os.getpid() * 1000))
"""
        start = time.time() + 3
        processes = [child(script.format(start=start)) for _ in range(self.writers)]
        for process in processes:
            assert _line(process) == "ready"
        for process in processes:
            _go_on(process)
        won = {process.pid: [_line(process) for _ in range(self.races)] for process in processes}
        for race in range(self.races):
            winners = [pid for pid, results in won.items() if results[race]]
            assert len(winners) == 1
            assert backend.read(f"race/{race}") == b"%d" % winners[0] * 1000

    def test_a_reader_sees_the_old_or_the_new_and_nothing_between(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        backend.replace({"a": b"0" * 100_000})
        writer = child('tell(0)\nfor i in range(1, 10**9): backend.replace({"a": b"%d" % (i % 10) * 100_000})')
        _line(writer)
        seen: set[int] = set()
        deadline = time.monotonic() + 20
        while len(seen) < 5 and time.monotonic() < deadline:
            data = backend.read("a")
            assert data is not None
            assert len(data) == 100_000
            assert len(set(data)) == 1
            seen.add(data[0])
        assert len(seen) >= 2

    def test_a_killed_writer_leaves_a_blob_whole_or_not_at_all(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        choice = random.Random(5)
        for kill in range(self.kills):
            script = f"""
tell(0)
for i in range(10**9):
    backend.create(f"{kill}/{{i}}", b"%d" % (i % 10) * 300_000)
    backend.replace({{"again/{kill}": b"%d" % (i % 10) * 300_000}})
"""
            writer = child(script)
            _line(writer)
            time.sleep(choice.uniform(0, 0.05))
            writer.kill()
            writer.communicate()
            listed, again = dict(backend.list(str(kill))), f"again/{kill}"
            for name in [*listed, again]:
                data = backend.read(name)
                assert data is None or (len(data) == 300_000 and len(set(data)) == 1)
                assert name == again or data is not None
            for name, size in listed.items():
                assert size == 300_000
                assert not backend.create(name, b"")
            backend.replace({again: b"mine"})
            assert backend.read(again) == b"mine"

    # Leases.

    def test_a_lease_is_held_by_one_and_can_be_taken_when_it_is_given_back(self, backend: Backend, place: str) -> None:
        other = self.open(place)
        with backend.lease("work") as mine, other.lease("work") as theirs:
            assert mine.try_acquire()
            assert mine.try_acquire()
            assert not theirs.try_acquire()
            with other.lease("other-work") as elsewhere:
                assert elsewhere.try_acquire()
            mine.release()
            assert theirs.try_acquire()
            assert not mine.try_acquire()
        with backend.lease("work") as again:
            assert again.try_acquire()
        again.release()

    def test_a_lease_says_who_holds_it(self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]) -> None:
        import socket

        before = time.time()
        holder = child('lease = backend.lease("work"); tell(lease.try_acquire()); wait()')
        assert _line(holder) is True
        with backend.lease("work") as lease:
            assert not lease.try_acquire()
            found = lease.holder()
            assert found is not None
            assert (found.pid, found.host) == (holder.pid, socket.gethostname())
            assert before - 60 < found.since < time.time() + 60

    def test_a_lease_is_no_blob(self, backend: Backend) -> None:
        with backend.lease("work") as lease:
            assert lease.try_acquire()
            assert list(backend.list("")) == []
            assert backend.read("work") is None
            assert backend.create("work", b"")

    def test_a_killed_holder_loses_its_lease_to_one_of_those_who_want_it(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        for _ in range(self.kills):
            holder = child('lease = backend.lease("work"); tell(lease.try_acquire()); wait()')
            assert _line(holder) is True
            leases = [backend.lease("work") for _ in range(4)]
            assert not any(lease.try_acquire() for lease in leases)
            holder.kill()
            holder.communicate()
            taken: list[Any] = []
            deadline = time.monotonic() + self.takeover_seconds
            while not taken and time.monotonic() < deadline:
                taken = [lease for lease in leases if lease.try_acquire()]
                time.sleep(0.01)
            assert len(taken) == 1
            taken[0].release()

    def test_of_processes_that_take_a_lease_in_turns_no_two_hold_it_at_once(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        # Each reads a number and writes the next one: a number that is lost was read by two.
        script = """
for turn in range(20):
    lease = backend.lease("turns")
    while not lease.try_acquire():
        time.sleep(0.001)
    backend.replace({"count": b"%d" % (int(backend.read("count") or b"0") + 1)})
    lease.release()
tell("done")
"""
        processes = [child(script) for _ in range(4)]
        assert [_line(process) for process in processes] == ["done"] * 4
        assert backend.read("count") == b"80"

    def test_a_stopped_holder_keeps_its_lease_and_is_named(
        self, backend: Backend, child: Callable[[str], subprocess.Popen[str]]
    ) -> None:
        holder = child(
            'lease = backend.lease("work"); tell(lease.try_acquire()); wait(); lease.release(); tell("gone")'
        )
        assert _line(holder) is True
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            with backend.lease("work") as lease:
                assert not lease.try_acquire()
                found = lease.holder()
                assert found is not None
                assert found.pid == holder.pid
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        _go_on(holder)
        assert _line(holder) == "gone"
        assert backend.lease("work").try_acquire()


def _line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended"
    return json.loads(line)


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    print(file=process.stdin, flush=True)
