"""A folder on a network file system: the contract with leases by heartbeat, and when they are used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunebench.api.errors import StoreError
from prunebench.store.copies import Copy
from prunebench.store.environment import Environment
from prunebench.store.folder import LEFT_SECONDS, FolderBackend
from prunebench.store.mounts import network_file_system
from prunebench.store.records import Record
from prunebench.store.store import Store
from prunebench.testing import StoreBackendContract

HERE = Environment({"torch": "2.9.0"})
ADDRESS = "ab" * 32
FILES = {"w": b"weights", "v": b""}


class TestSharedFolder(StoreBackendContract):
    opener = "shared_folder:opened"
    takeover_seconds = 60.0
    races = 10
    kills = 3

    @pytest.fixture(autouse=True)
    def _seconds(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        monkeypatch.setenv("PRUNEBENCH_TEST_LEASE_SECONDS", "30")


def heartbeat(place: Path, seconds: float = 0.5) -> FolderBackend:
    return FolderBackend(place, leases="heartbeat", lease_seconds=seconds)


def test_a_stopped_holder_is_replaced_and_knows_it_when_it_returns(tmp_path: Path) -> None:
    script = """
import sys, time
from prunebench.store.folder import FolderBackend
lease = FolderBackend(sys.argv[1], leases="heartbeat", lease_seconds=1.0).lease("work")
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
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "True\n"
        os.kill(holder.pid, signal.SIGSTOP)
        backend, deadline = heartbeat(tmp_path, 1.0), time.monotonic() + 60
        lease = backend.lease("work")
        while not lease.try_acquire():
            assert time.monotonic() < deadline
            time.sleep(0.05)
            lease = backend.lease("work")  # each has watched for nothing; together they have for long enough
        os.kill(holder.pid, signal.SIGCONT)
        print(file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "False\n"
        assert holder.stdout.readline() == "gone\n"
        found = lease.holder()
        assert found is not None
        assert found.pid == os.getpid()
        lease.release()
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("same", [True, False])
def test_a_slow_writer_that_returns_does_not_write_over_what_the_next_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    other = FILES if same else {"w": b"WEIGHTS", "v": b"else"}
    elsewhere = Store(heartbeat(tmp_path / "elsewhere"), environment=HERE)
    elsewhere.put(ADDRESS, other, {"by": "next"}, [])
    record, real, calls = elsewhere.meta(ADDRESS), Copy.create, []

    def stalling(copy: Copy, files: dict[str, bytes], mine: Record) -> bool:
        calls.append(copy)
        if len(calls) == 1:  # another writer was given the address meanwhile
            assert real(Copy(heartbeat(tmp_path / "store"), ADDRESS, HERE.id), other, record)
        return real(copy, files, mine)

    monkeypatch.setattr(Copy, "create", stalling)
    slow = Store(heartbeat(tmp_path / "store"), environment=HERE)
    if same:
        assert slow.put(ADDRESS, FILES, {"by": "slow"}, []).meta == {"by": "next"}
    else:
        with pytest.raises(StoreError, match="did not reproduce its digest"):
            slow.put(ADDRESS, FILES, {"by": "slow"}, [])
    assert slow.get(ADDRESS).files == other


def test_a_temporary_file_goes_only_when_it_is_old(tmp_path: Path) -> None:
    backend = heartbeat(tmp_path)
    backend.replace({"a/b": b""})
    left = tmp_path / "a" / ".b.1-2.tmp"
    left.touch()
    list(backend.list(""))
    assert left.exists()
    os.utime(left, (time.time() - LEFT_SECONDS - 60,) * 2)
    list(backend.list(""))
    assert not left.exists()


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /net rw shared:2 - nfs4 server:/net rw,vers=4.2
31 22 0:27 / /with\040space rw - lustre mgs:/scratch rw
32 30 254:1 / /net/local rw - xfs /dev/vdb rw
33 22 0:28 / /ssh rw - fuse.sshfs me@host: rw
34 22 0:29 / /pool rw - fuse.mergerfs a:b rw
35 22 0:30 / /twice rw - ext4 /dev/vdc rw
36 22 0:31 / /twice rw - cifs //host/share rw
no mount at all
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/store", None),
        ("/net/me/store", "nfs4"),
        ("/net", "nfs4"),
        ("/nets/me", None),
        ("/net/local/store", None),
        ("/with space/x", "lustre"),
        ("/ssh/x", "fuse.sshfs"),
        ("/pool/x", None),
        ("/twice/x", "cifs"),
    ],
)
def test_the_file_system_of_a_folder_is_found(tmp_path: Path, path: str, kind: str | None) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert network_file_system(path, tmp_path / "mountinfo") == kind


def test_where_mounts_are_not_listed_a_folder_is_local(tmp_path: Path) -> None:
    assert network_file_system("/net", tmp_path / "none") is None


def test_the_kind_of_lease_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not FolderBackend(tmp_path).leases_expire
    monkeypatch.setenv("PRUNEBENCH_STORE_LEASES", "heartbeat")
    assert FolderBackend(tmp_path).leases_expire
    assert not FolderBackend(tmp_path, leases="lock").leases_expire
    monkeypatch.setenv("PRUNEBENCH_STORE_LEASES", "hope")
    with pytest.raises(StoreError, match="neither"):
        Store(tmp_path, environment=HERE).put(ADDRESS, FILES, {}, [])
