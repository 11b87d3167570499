"""The folder backend: the contract, and what lies in a folder that should not."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench.api.errors import LostArtifact, StoreError
from prunebench.store import folder, turns
from prunebench.store.backend import UnreadableError
from prunebench.store.environment import Environment
from prunebench.store.folder import FolderBackend
from prunebench.store.marker import MARKER
from prunebench.store.store import Store
from prunebench.testing import StoreBackendContract

ADDRESS = "ab" * 32
HERE = Environment({"torch": "2.9.0"})


class TestFolderBackend(StoreBackendContract):
    opener = "prunebench.store.folder:FolderBackend"


class TestFolderWithoutHardLinks(StoreBackendContract):
    opener = "no_links:opened"

    @pytest.fixture(autouse=True)
    def _put_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(folder, "_linked", folder._linked)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store", environment=HERE)
    store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])
    return store


def payload(store: Store, name: str = "w") -> Path:
    return store.root / "objects" / "ab" / ADDRESS / HERE.id / name


# Not a regular file. A read that waits for a pipe's writer would never end: pytest has no time limit of its own, and
# none is needed, since a hanging suite is noticed.


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


def directory(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def holes(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)  # four terabytes of nothing


KINDS = [fifo, device, listening, directory, loop, holes]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", ["w", "v", "record.json"])
def test_what_is_no_regular_file_is_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], name: str
) -> None:
    path = payload(store, name)
    monkeypatch.chdir(path.parent)  # a socket's path may not be long
    path.unlink()
    make(path)
    assert not store.has(ADDRESS)
    assert store.have([ADDRESS]) == set()
    with pytest.raises(LostArtifact, match=r"cannot be read.*set aside as"):
        store.get(ADDRESS)
    assert len(list(store.root.rglob("*.bad"))) == 1
    store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])
    assert store.get(ADDRESS).files == {"w": b"weights", "v": b""}
    assert list(store.scan()) == [(ADDRESS, True)]


@pytest.mark.parametrize("make", [fifo, device, listening, loop, holes])
def test_a_put_replaces_what_is_no_regular_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    path = payload(store)
    monkeypatch.chdir(path.parent)
    path.unlink()
    make(path)
    store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])
    assert store.get(ADDRESS).files == {"w": b"weights", "v": b""}


@pytest.mark.parametrize("make", KINDS)
def test_a_checkpoint_or_a_cached_value_that_is_no_regular_file_is_none(
    store: Store, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    store.put_scratch("run", b"state")
    store.put_json("probe", 1)
    for kind in ("scratch", "cache"):
        (path,) = (path for path in (store.root / kind).rglob("*") if path.is_file())
        path.unlink()
        monkeypatch.chdir(path.parent)
        make(path)
    assert (store.get_scratch("run"), store.cached_json("probe")) == (None, None)
    store.put_scratch("run", b"again")
    assert store.get_scratch("run") == b"again"


@pytest.mark.parametrize("make", [fifo, device, directory, holes])
def test_a_marker_that_is_no_regular_file_is_an_error(store: Store, make: Callable[[Path], None]) -> None:
    (store.root / MARKER).unlink()
    make(store.root / MARKER)
    with pytest.raises(StoreError, match=r"prunebench-store\.json cannot be read: .* Remove it and run again"):
        Store(store.root, environment=HERE)


@pytest.mark.parametrize("make", [fifo, directory])
def test_a_lease_whose_file_is_something_else_is_an_error(store: Store, make: Callable[[Path], None]) -> None:
    (store.root / "leases").mkdir(exist_ok=True)
    make(store.root / "leases" / f"{ADDRESS}.lock")
    with pytest.raises(StoreError, match=rf"{ADDRESS}.lock"):
        store.lease(ADDRESS).try_acquire()


def test_a_file_is_not_read_beyond_its_recorded_size(store: Store) -> None:
    with payload(store).open("r+b") as file:
        file.truncate(1 << 40)  # a terabyte of nothing
    with pytest.raises(LostArtifact, match="it has 1,099,511,627,776 bytes of 7"):
        store.get(ADDRESS)


# A file where a folder belongs, and folders that may not be entered.


@pytest.mark.parametrize("place", ["objects", "objects/ab", f"objects/ab/{ADDRESS}", "scratch", "cache", "leases"])
def test_a_file_in_place_of_a_folder_is_named(store: Store, place: str) -> None:
    store.put_scratch("run", b"state")
    store.put_json("probe", 1)
    shutil.rmtree(store.root / place)
    (store.root / place).write_text("mine")
    reader = Store(store.root, environment=HERE)
    writes: list[Callable[[], object]] = [
        lambda: reader.put(ADDRESS, {"w": b"weights", "v": b""}, {}, []),
        lambda: reader.put_scratch("run", b"state"),
        lambda: reader.put_json("probe", 1),
        lambda: reader.lease(ADDRESS).try_acquire(),
    ]
    messages = []
    for write in writes:
        try:
            write()
        except StoreError as error:
            messages.append(str(error))
    assert messages
    for message in messages:
        assert message.startswith(
            f"{store.root / place}: a file lies where the store keeps a folder. Move it away and run again"
        )
    assert (store.root / place).read_text() == "mine"
    assert reader.has(ADDRESS) is not place.startswith("objects")
    list(reader.scan())


def test_a_root_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store", environment=HERE)
    with pytest.raises(StoreError, match=r"cannot write to the store: .*or name another folder with --store"):
        store.put_json("probe", 1)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from prunebench.api.errors import StoreError
from prunebench.store.environment import Environment
from prunebench.store.store import Store
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    store = Store(Path(sys.argv[1]), environment=Environment({"torch": "2.9.0"}))
    print(store.has(sys.argv[2]), end=" ")
    store.put_json("probe", 1)
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("closed", "mode", "message"),
    [
        ("", 0o000, "cannot read the store: Permission denied. Make it readable"),
        ("..", 0o000, "cannot read the store: Permission denied. Make it readable"),
        (MARKER, 0o000, "cannot read the store: Permission denied. Make it readable"),
        ("objects", 0o000, "cannot read the store: Permission denied. Make it readable"),
        ("", 0o555, "True .*cannot write to the store: Permission denied.*Make the folder writable"),
    ],
)
def test_what_may_not_be_read_or_written_is_an_error_that_says_what_to_do(
    store: Store, closed: str, mode: int, message: str
) -> None:
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as outside:
        place = Path(outside) / "inner" / "store"
        shutil.copytree(store.root, place)
        for path in (Path(outside), place.parent, place, *place.rglob("*")):
            path.chmod(0o755)
        target = (place / closed).resolve()
        target.chmod(mode)
        script = [sys.executable, "-c", UNPRIVILEGED, str(place), ADDRESS]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        target.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert re.search(message, done.stdout), done.stdout


# Writers.


def test_a_temporary_file_of_a_living_writer_is_left_alone(store: Store) -> None:
    with folder._temporary_file(str(payload(store).parent), "w", b"coming") as temporary:
        list(store.backend.list("objects"))
        store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])
        assert Path(temporary).read_bytes() == b"coming"
    assert not Path(temporary).exists()


def test_a_write_whose_temporary_file_vanishes_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, real, tries = FolderBackend(tmp_path / "store"), os.replace, []

    def vanishing(source: str, target: str) -> None:
        tries.append(source)
        if len(tries) < 3:
            shutil.rmtree(Path(source).parent)
        real(source, target)

    monkeypatch.setattr(os, "replace", vanishing)
    backend.replace({"a/b": b"data"})
    assert len(tries) == 3
    assert backend.read("a/b") == b"data"


def test_a_writer_that_is_stopped_in_the_middle_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WRITER_SECONDS", 0.2)
    with store.backend.lease(f"{ADDRESS}-write") as lease:
        assert lease.try_acquire()
        with pytest.raises(StoreError, match=rf"is being written by process {os.getpid()} on .*, since 2"):
            store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])
    store.put(ADDRESS, {"w": b"weights", "v": b""}, {}, [])


def test_a_stopped_writer_is_named_on_a_file_system_without_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WRITER_SECONDS", 0.2)
    monkeypatch.setattr(folder, "_linked", lambda temporary, path: None)
    backend = FolderBackend(tmp_path / "store")
    with backend.lease("create/a-b") as lease:
        assert lease.try_acquire()
        with pytest.raises(StoreError, match=rf"a/b is being written by process {os.getpid()} on .*, since 2"):
            backend.create("a/b", b"data")
    assert backend.create("a/b", b"data")


def test_a_lease_leaves_no_file_behind(store: Store) -> None:
    with store.lease(ADDRESS) as lease:
        assert lease.try_acquire()
        assert len(list((store.root / "leases").iterdir())) == 1
    assert list((store.root / "leases").iterdir()) == []


def test_a_lease_is_not_taken_on_a_file_that_its_last_holder_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (store.lease(ADDRESS) for _ in range(3))
    assert first.try_acquire()
    real, opened = os.open, []

    def opens(path: str, flags: int, *rest: int) -> int:
        handle = real(path, flags, *rest)
        if str(path).endswith(".lock") and not opened:
            opened.append(path)
            first.release()  # between the opening and the locking by `second`
            assert third.try_acquire()
        return handle

    monkeypatch.setattr(os, "open", opens)
    assert not second.try_acquire()
    third.release()
    assert second.try_acquire()


def test_a_note_that_cannot_be_read_names_nobody(store: Store) -> None:
    lease = store.lease(ADDRESS)
    assert lease.holder() is None
    path = store.root / "leases" / f"{ADDRESS}.lock"
    path.parent.mkdir(exist_ok=True)
    for note in ("", "{", "[1]", '{"pid": "x", "host": 1, "since": null}', "[" * 5000):
        path.write_text(note)
        assert lease.holder() is None


# The layout is looked at by people.


def test_what_a_sick_disk_cannot_read_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FolderBackend(tmp_path)
    backend.replace({"a": b"data"})

    def sick(*args: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", sick)
    with pytest.raises(UnreadableError, match="Input/output error"):
        backend.read("a")


def test_a_scan_of_a_folder_that_leads_into_itself_ends(store: Store) -> None:
    (store.root / "objects" / "ab" / "loop").symlink_to(store.root / "objects")
    began = time.monotonic()
    assert (ADDRESS, True) in list(store.scan())
    assert time.monotonic() - began < 60
