"""Stores in a bucket, against moto's S3 on the loopback: the contract, what a network does, and who may come back.

The short form takes a minute; `tox -e stores` runs 100 races, 50 takeovers and as many faults.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto.moto_server")

from loopback import LEASE, Server, opened, serving

from prunebench.api.errors import LostArtifact, StoreError
from prunebench.store import claims, credentials
from prunebench.store.claims import ClaimLease, Watch
from prunebench.store.copies import RECORD
from prunebench.store.environment import Environment
from prunebench.store.marker import MARKER
from prunebench.store.objects import ObjectBackend
from prunebench.store.payload_cache import PayloadCache
from prunebench.store.places import backend_of
from prunebench.store.store import SWEEP, Store
from prunebench.testing import StoreBackendContract

RACES = int(os.environ.get("PRUNEBENCH_STORE_RACES", "10"))
TAKEOVERS = int(os.environ.get("PRUNEBENCH_STORE_TAKEOVERS", "5"))
HERE = Environment({"torch": "2.9.0"})
ADDRESS = "ab" * 32
FILES = {"w": b"weights", "v": b""}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def place(server: Server) -> str:
    return server.bucket()


class TestObjectBackend(StoreBackendContract):
    opener = "loopback:opened"
    takeover_seconds = 30.0
    races = RACES
    kills = max(2, TAKEOVERS // 5)
    many = 1_050

    @pytest.fixture
    def place(self, server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        # Long, so that a slow machine takes nobody's lease; short where a lease has to run out.
        monkeypatch.setenv(LEASE, "1" if "killed_holder" in request.node.name else "30")
        return server.bucket()


# Leases.


def abandoned(place: str, name: str, seconds: float = 0.3) -> ClaimLease[Any]:
    """A lease whose holder gives no more sign of life, as one that was killed or stopped."""
    lease = ObjectBackend(place, lease_seconds=seconds).lease(name)
    lease._keep_renewing = lambda stop: None  # type: ignore[method-assign]
    assert lease.try_acquire()
    return lease


def test_of_those_who_take_over_a_dead_holders_lease_one_wins(place: str) -> None:
    backends = [opened(place) for _ in range(8)]
    for takeover in range(TAKEOVERS):
        abandoned(place, f"work-{takeover}")
        leases = [backend.lease(f"work-{takeover}") for backend in backends]
        won: list[int] = []
        start, over = threading.Barrier(len(leases)), threading.Event()

        def contend(
            index: int,
            leases: list[Any] = leases,
            won: list[int] = won,
            start: threading.Barrier = start,
            over: threading.Event = over,
        ) -> None:
            start.wait()
            deadline = time.monotonic() + 30
            while not over.is_set() and time.monotonic() < deadline:
                if leases[index].try_acquire():
                    won.append(index)
                    over.set()
            leases[index].try_acquire()
            if leases[index].try_acquire() and index not in won:
                won.append(index)

        threads = [threading.Thread(target=contend, args=(index,)) for index in range(len(leases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        leases[won[0]].release()


def test_a_lease_is_renewed_for_as_long_as_it_is_held(place: str) -> None:
    mine, theirs = (ObjectBackend(place, lease_seconds=1.5).lease("work") for _ in range(2))
    with mine:
        assert mine.try_acquire()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            assert not theirs.try_acquire()
            time.sleep(0.1)
    assert theirs.try_acquire()
    theirs.release()


def test_a_holder_that_was_stopped_and_returns_knows_that_it_has_lost_the_lease(place: str) -> None:
    script = """
import sys, time
from prunebench.store.objects import ObjectBackend
lease = ObjectBackend(sys.argv[1], lease_seconds=1.0).lease("work")
print(lease.try_acquire(), flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 30
while lease.try_acquire() and time.monotonic() < deadline:
    time.sleep(0.05)
print(lease.try_acquire(), flush=True)
lease.release()
print("gone", flush=True)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "True\n"
        os.kill(holder.pid, signal.SIGSTOP)
        with ObjectBackend(place, lease_seconds=30).lease("work") as next_one:
            deadline = time.monotonic() + 30
            while not next_one.try_acquire():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(holder.pid, signal.SIGCONT)
            print(file=holder.stdin, flush=True)
            assert holder.stdout.readline() == "False\n"
            assert holder.stdout.readline() == "gone\n"
            found = next_one.holder()
            assert found is not None
            assert found.pid == os.getpid()  # giving back what was lost takes nothing from the next holder
            assert next_one.try_acquire()
    finally:
        holder.kill()
        holder.communicate()


def test_a_claim_counts_as_dead_by_the_watchers_clock_alone(place: str) -> None:
    now = [0.0]
    backend = opened(place)
    abandoned(place, "work", seconds=10)
    watch: Watch[Any] = Watch(lambda: now[0])
    first, second = (ClaimLease(backend._objects, ".leases/work", watch) for _ in range(2))
    assert not first.try_acquire()
    now[0] = 10.0
    assert not second.try_acquire()
    now[0] = 10.1
    assert second.try_acquire()
    second.release()


@pytest.mark.parametrize("claim", [b"", b"[]", b"{", b'{"seconds": "x"}', b"[" * 5000])
def test_a_claim_that_cannot_be_read_runs_out_too(place: str, claim: bytes) -> None:
    backend = ObjectBackend(place, lease_seconds=0.2)
    backend._objects.put(".leases/work", claim)
    lease = backend.lease("work")
    assert lease.holder() is None
    assert not lease.try_acquire()
    time.sleep(0.3)
    assert lease.try_acquire()
    lease.release()


def test_free_claims_are_removed_and_held_ones_are_not(place: str) -> None:
    backend = opened(place)
    with backend.lease("held") as held:
        assert held.try_acquire()
        for name in ("a", "b"):
            with backend.lease(name) as lease:
                assert lease.try_acquire()
        assert backend.remove_free_leases(older_than=1_000) == 0
        assert backend.remove_free_leases(older_than=-10) == 2
        assert not opened(place).lease("held").try_acquire()


# A network loses answers, and a store is busy or in conflict.


@pytest.mark.parametrize("kind", ["lost", "conflict", "busy"])
@pytest.mark.parametrize("count", [1, 2])
def test_what_was_written_counts_as_written_whatever_became_of_the_answer(
    server: Server, place: str, kind: str, count: int
) -> None:
    backend = opened(place)
    server.fault(kind, count, path="/record")
    assert backend.create("record", b"mine")
    assert server.faults_left() == 0
    assert not opened(place).create("record", b"mine")
    assert backend.read("record") == b"mine"


@pytest.mark.parametrize("kind", ["lost", "conflict", "busy"])
def test_another_writers_record_is_not_taken_for_ones_own(server: Server, place: str, kind: str) -> None:
    assert opened(place).create("record", b"same bytes")
    server.fault(kind, 1, path="/record")
    assert not opened(place).create("record", b"same bytes")


@pytest.mark.parametrize("kind", ["lost", "conflict", "busy"])
def test_a_lease_survives_faults_of_its_creation_takeover_and_return(server: Server, place: str, kind: str) -> None:
    abandoned(place, "taken-over")
    backend = opened(place)
    for name in ("new", "taken-over", "new"):
        server.fault(kind, 1, path=f".leases/{name}")
        with backend.lease(name) as lease:
            deadline = time.monotonic() + 30
            while not lease.try_acquire():
                assert time.monotonic() < deadline
            assert not opened(place).lease(name).try_acquire()
            server.fault(kind, 1, path=f".leases/{name}")
    assert server.faults_left() == 0
    assert opened(place).lease("new").try_acquire()


@pytest.mark.parametrize("kind", ["lost", "busy"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_a_store_is_used_through_faults(server: Server, place: str, kind: str, method: str) -> None:
    store = Store(opened(place), environment=HERE)
    bucket = place.split("/")[2]
    for round in range(3):
        server.fault(kind, 1, method=method, path=f"/{bucket}")
        address = hashlib.sha256(str(round).encode()).hexdigest()
        store.put(address, FILES, {}, [])
        assert store.has(address)
        assert store.get(address).files == FILES
        store.drop_payload(address)
        assert not store.has(address)


def test_faults_that_do_not_end_are_an_error_that_names_the_store(
    server: Server, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunebench.store import objects

    monkeypatch.setattr(objects, "PAUSES", (0.01,))
    backend = opened(place)
    server.fault("conflict", 2, path="/record")
    with pytest.raises(StoreError, match=rf"{place}: cannot write the store: .*nothing finished is lost"):
        backend.create("record", b"mine")


# A holder that was thought dead comes back in the middle of a put.


class Stalling(ObjectBackend):
    """Stops before its n-th write until it is told to go on, and does not renew its leases."""

    def __init__(self, place: str, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(place, lease_seconds=0.3)
        self._left, self._meanwhile = at, meanwhile

    def lease(self, name: str) -> ClaimLease[Any]:
        lease = super().lease(name)
        lease._keep_renewing = lambda stop: None  # type: ignore[method-assign]
        return lease

    def create(self, name: str, data: bytes) -> bool:
        if name != MARKER:
            self._left -= 1
            if self._left == 0:
                self._meanwhile()
        return super().create(name, data)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("same", [True, False])
def test_a_slow_writer_that_returns_does_not_write_over_what_the_next_one_kept(place: str, at: int, same: bool) -> None:
    other = FILES if same else {"w": b"WEIGHTS", "v": b"else"}
    next_one = Store(opened(place), environment=HERE)
    done: list[object] = []
    slow = Store(
        Stalling(place, at, lambda: done.append(next_one.put(ADDRESS, other, {"by": "next"}, []))), environment=HERE
    )
    if same:
        assert slow.put(ADDRESS, FILES, {"by": "slow"}, []).meta == {"by": "next"}
    else:
        with pytest.raises(StoreError, match="did not reproduce its digest"):
            slow.put(ADDRESS, FILES, {"by": "slow"}, [])
    assert len(done) == 1
    kept = Store(opened(place), environment=HERE).get(ADDRESS)
    assert kept.files == other
    assert kept.meta == {"by": "next"}


@pytest.mark.parametrize("left", [{"w": b"half", "v": b""}, {"w": b"weights"}])
def test_what_a_killed_writer_left_does_not_matter(place: str, left: dict[str, bytes]) -> None:
    backend = opened(place)
    store = Store(backend, environment=HERE)
    store.put_json("is", "a store")
    backend.replace({f"objects/ab/{ADDRESS}/{HERE.id}/{name}": data for name, data in left.items()})
    store.put(ADDRESS, FILES, {}, [])
    assert store.get(ADDRESS).files == FILES
    assert list(store.scan()) == [(ADDRESS, True)]


def test_a_scan_removes_what_a_killed_writer_left(place: str) -> None:
    backend = opened(place)
    store = Store(backend, environment=HERE)
    store.put_json("is", "a store")
    backend.replace({f"objects/ab/{ADDRESS}/{HERE.id}/w": b"half"})
    assert list(store.scan()) == []
    assert list(backend.list("objects")) == []


def test_damage_is_set_aside_and_mended(place: str) -> None:
    backend = opened(place)
    store = Store(backend, environment=HERE)
    store._cache = None
    store.put(ADDRESS, FILES, {}, [])
    backend.replace({f"objects/ab/{ADDRESS}/{HERE.id}/w": b"WEIGHTS"})
    with pytest.raises(LostArtifact, match="set aside as"):
        store.get(ADDRESS)
    assert not store.has(ADDRESS)
    store.put(ADDRESS, FILES, {}, [])
    assert store.get(ADDRESS).files == FILES


# Many at once, and near.


@pytest.mark.parametrize("reuse", ["same", "any"])
def test_many_addresses_are_found_as_each_of_them_is(place: str, reuse: Any) -> None:
    there = Environment({"torch": "2.8.0"})
    addresses = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(SWEEP + 20)]
    stores = [Store(opened(place), environment=environment) for environment in (HERE, there)]
    for i in range(6):
        stores[i % 2].put(addresses[i], FILES, {}, [])
    stores[0].drop_payload(addresses[0])
    store = Store(opened(place), environment=HERE, reuse=reuse)
    expected = {address for address in addresses[:8] if store.has(address)}
    assert len(expected) == (2 if reuse == "same" else 5)
    assert store.have(addresses) == expected
    assert store.have(addresses[:8]) == expected


def test_a_payload_is_fetched_once_and_checked_each_time(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE_CACHE", str(tmp_path / "payloads"))
    Store(place, environment=HERE).put(ADDRESS, {"w": b"weights"}, {}, [])
    store = Store(place, environment=HERE)
    fetched, read = [], store.backend.read

    def noting(name: str, size: int | None = None) -> bytes | None:
        fetched.append(name.rpartition("/")[2])
        return read(name, size)

    monkeypatch.setattr(store.backend, "read", noting)
    for _ in range(3):
        assert store.get(ADDRESS).files == {"w": b"weights"}
    assert fetched == [RECORD, "w", RECORD, RECORD]
    (kept,) = (path for path in (tmp_path / "payloads").rglob("*") if path.is_file())
    for damage in (b"WEIGHTS", b""):
        kept.write_bytes(damage)
        assert store.get(ADDRESS).files == {"w": b"weights"}
        assert fetched[-2:] == [RECORD, "w"]
    monkeypatch.setenv("PRUNEBENCH_STORE_CACHE", "off")
    assert Store(place, environment=HERE)._cache is None


# Bad input: said before anything trains.


def test_a_bucket_that_is_not_there_is_named(server: Server) -> None:
    with pytest.raises(StoreError, match="s3://never-made/x: there is no such bucket"):
        Store("s3://never-made/x", environment=HERE)


def test_a_place_that_holds_something_else_is_refused(place: str) -> None:
    opened(place).replace({"holiday/photo.jpg": b""})
    with pytest.raises(StoreError, match=r"not a prunebench store: it holds 'holiday/photo\.jpg'"):
        Store(place, environment=HERE)


def test_a_store_of_another_format_is_refused(place: str) -> None:
    opened(place).replace({MARKER: json.dumps({"format": 9}).encode()})
    with pytest.raises(StoreError, match="a store of format 9; this prunebench knows format 1"):
        Store(place, environment=HERE)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_place_without_credentials_says_what_to_set(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in credentials.VARIABLES[scheme]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    # An address that is reserved for documentation: nobody answers there.
    monkeypatch.setitem(credentials.METADATA, scheme, "192.0.2.1")
    monkeypatch.setattr(credentials, "PATIENCE", 0.2)
    with pytest.raises(StoreError, match=rf"{scheme}://bucket/x: no credentials\. Set .*docs/stores\.md"):
        backend_of(f"{scheme}://bucket/x")


def test_half_of_the_credentials_is_said_to_be_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(StoreError, match=r"credentials are not complete \(.*SecretAccessKey.*\)\. Set AWS_ACCESS"):
        backend_of("s3://bucket/x")


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r'pip install "prunebench\[s3\]"'):
        backend_of("s3://bucket/x")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("ftp://host/x", "a store is a folder, or one of s3://"),
        ("s3://", "names no bucket"),
        ("s3:///", "names no bucket"),
    ],
)
def test_a_place_that_names_none_is_refused(place: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        backend_of(place)


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        with pytest.raises(StoreError, match=r"s3://bucket/x: cannot read the store: .*Run again when"):
            Store("s3://bucket/x", environment=HERE)


# The cache of payloads.


def test_the_payloads_longest_unused_go_first(tmp_path: Path) -> None:
    cache = PayloadCache(tmp_path, limit=1_000)
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (bytes([i]) * 300 for i in range(5))}
    for age, (sha256, data) in enumerate(blobs.items()):
        cache.put(sha256, data)
        os.utime(tmp_path / sha256[:2] / sha256, (age, age))
    cache.put(hashlib.sha256(b"x").hexdigest(), b"x")
    cache._shrink()
    kept = [sha256 for sha256 in blobs if cache.get(sha256, 300) is not None]
    assert kept == list(blobs)[-3:]
    cache.put(hashlib.sha256(b"y" * 2_000).hexdigest(), b"y" * 2_000)
    assert cache.get(hashlib.sha256(b"y" * 2_000).hexdigest(), 2_000) is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = PayloadCache(tmp_path / "file")
    cache.put("ab" * 32, b"x")
    assert cache.get("ab" * 32, 1) is None


def test_leases_are_thirty_seconds_unless_told() -> None:
    assert claims.LEASE_SECONDS == 30.0
