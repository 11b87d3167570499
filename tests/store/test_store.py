from __future__ import annotations

import errno
import hashlib
import inspect
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.errors import LostArtifact, StoreError
from prunebench.store.copies import RECORD
from prunebench.store.environment import Environment
from prunebench.store.marker import MARKER
from prunebench.store.store import Store
from prunebench.store.tensors import dump_tensors, load_tensors

HERE = Environment({"torch": "2.9.0", "device": "cpu", "threads": 1})
THERE = Environment({"torch": "2.9.0", "device": "cuda", "threads": 1})


def address(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def payload(name: object) -> dict[str, bytes]:
    return {file: random.Random(f"{name}/{file}").randbytes(300) for file in ("state.safetensors", "mask.safetensors")}


def open_store(root: Path, environment: Environment = HERE, reuse: Literal["same", "any"] = "same") -> Store:
    return Store(root, environment=environment, reuse=reuse)


def fill(store: Store, *names: object) -> None:
    for name in names:
        store.put(address(name), payload(name), {"name": name}, [])


def folder_of(store: Store, name: object, environment: Environment = HERE) -> Path:
    return store.root / "objects" / address(name)[:2] / address(name) / environment.id


def left_over(root: Path, pattern: str) -> list[Path]:
    return sorted(root.rglob(pattern))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


CHILD = """
from __future__ import annotations
import hashlib, os, random, signal
from itertools import count
from pathlib import Path
from prunebench.store.environment import Environment
from prunebench.store.store import Store
"""


def child(store: Store, script: str) -> subprocess.Popen[str]:
    # not by importing this module, which would cost each child the import of torch
    shared = "".join(inspect.getsource(function) for function in (address, payload, fill))
    opened = f"store = Store(Path({str(store.root)!r}), environment=Environment({HERE.fields!r}))\n"
    source = CHILD + shared + opened + script
    return subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# -- round trips -------------------------------------------------------------------------------------------------------


def test_an_artifact_comes_back_as_it_was_put(store: Store) -> None:
    put = store.put(address("a"), payload("a"), {"steps": (1, 2), "loss": 0.5}, [])
    assert store.has(address("a"))
    assert store.get(address("a")) == put
    assert put.files == payload("a")
    assert put.meta == {"steps": [1, 2], "loss": 0.5}
    assert put.lineage == (HERE.id,)
    assert put.digests == {name: hashlib.sha256(data).hexdigest() for name, data in payload("a").items()}


names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True).filter(
    lambda name: name != RECORD and not name.endswith((".tmp", ".bad"))
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=2000), max_size=4), st.dictionaries(st.text(), json_values))
def test_any_files_and_any_json_survive_the_store(files: dict[str, bytes], meta: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        store.put(address(0), files, meta, [])
        found = open_store(Path(folder)).get(address(0))
        assert found.files == files
        assert found.meta == meta
        store.put_json("probe", meta)
        assert store.cached_json("probe") == meta


def test_what_was_never_put_is_lost_and_not_there(store: Store) -> None:
    assert not store.has(address("a"))
    with pytest.raises(LostArtifact, match="not in the store") as caught:
        store.get(address("a"))
    assert caught.value.address == address("a")
    assert not store.root.exists()


def test_putting_twice_changes_nothing_and_keeps_the_first_meta(store: Store) -> None:
    store.put(address("a"), payload("a"), {"seconds": 1}, [])
    before = {path: path.stat().st_mtime_ns for path in folder_of(store, "a").iterdir()}
    again = store.put(address("a"), payload("a"), {"seconds": 2}, [])
    assert again.meta == {"seconds": 1}
    assert {path: path.stat().st_mtime_ns for path in folder_of(store, "a").iterdir()} == before


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".hidden", RECORD, "a.tmp", "a.bad", "a\n"])
def test_a_file_name_that_could_leave_the_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        store.put(address("a"), {name: b""}, {}, [])


@pytest.mark.parametrize("wrong", ["", "../" * 20, "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_an_address_that_is_no_digest_is_refused(store: Store, wrong: str) -> None:
    for call_planning_hook in (store.has, store.get, store.drop_payload, store.lease):
        with pytest.raises(ValueError, match="is not an address"):
            call_planning_hook(wrong)


def test_meta_with_nan_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.put(address("a"), payload("a"), {"loss": float("nan")}, [])
    assert not store.root.exists()


def test_the_store_module_imports_no_torch() -> None:
    script = "import prunebench.store.store, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# -- records without payloads ------------------------------------------------------------------------------------------


def test_many_addresses_are_looked_up_at_once(store: Store) -> None:
    fill(store, *range(5))
    store.drop_payload(address(3))
    assert store.have(map(address, range(8))) == {address(i) for i in (0, 1, 2, 4)}
    assert store.have([]) == set()


def test_a_record_is_read_without_its_payload(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "a")
    read, names = store.backend.read, []

    def noting(name: str, size: int | None = None) -> bytes | None:
        names.append(name.rpartition("/")[2])
        return read(name, size)

    monkeypatch.setattr(store.backend, "read", noting)
    record = store.meta(address("a"))
    assert names == [RECORD]
    assert (record.meta, record.lineage, record.address) == ({"name": "a"}, (HERE.id,), address("a"))
    assert record.sizes == dict.fromkeys(payload("a"), 300)
    assert record.environment == HERE.fields
    assert store.files(record) == payload("a")
    assert names.count(RECORD) == 1


def test_a_record_outlives_its_payload(store: Store) -> None:
    fill(store, "a")
    record = store.meta(address("a"))
    store.drop_payload(address("a"))
    assert store.meta(address("a")) == record
    with pytest.raises(LostArtifact, match="only its record is kept"):
        store.files(record)


def test_a_damaged_record_or_payload_is_lost(store: Store) -> None:
    fill(store, "a")
    record = store.meta(address("a"))
    (folder_of(store, "a") / "mask.safetensors").write_bytes(b"x" * 300)
    with pytest.raises(LostArtifact, match="set aside as"):
        store.files(record)
    fill(store, "a")
    flip_a_bit(folder_of(store, "a") / RECORD, random.Random(1))
    with pytest.raises(LostArtifact, match="its record is damaged"):
        store.meta(address("a"))
    with pytest.raises(LostArtifact, match="not in the store"):
        store.meta(address("b"))


def test_the_record_of_another_environment_counts_where_that_is_permitted(tmp_path: Path) -> None:
    for environment in (THERE, HERE):
        fill(open_store(tmp_path, environment), "a")
    open_store(tmp_path).drop_payload(address("a"))
    mixing = open_store(tmp_path, reuse="any")
    assert mixing.meta(address("a")).lineage == mixing.get(address("a")).lineage == (THERE.id,)
    record = mixing.meta(address("a"))
    fill(open_store(tmp_path), "a")
    (folder_of(mixing, "a", THERE) / "mask.safetensors").write_bytes(b"x" * 300)
    with pytest.raises(LostArtifact, match="a copy from another environment counts instead"):
        mixing.files(record)
    assert mixing.meta(address("a")).lineage == (HERE.id,)


# -- recomputing -------------------------------------------------------------------------------------------------------


def test_a_dropped_payload_is_lost_until_it_is_recomputed(store: Store) -> None:
    fill(store, "a")
    store.drop_payload(address("a"))
    assert not store.has(address("a"))
    assert [path.name for path in folder_of(store, "a").iterdir()] == [RECORD]
    with pytest.raises(LostArtifact, match="only its record is kept"):
        store.get(address("a"))
    assert list(store.scan()) == [(address("a"), True)]
    fill(store, "a")
    assert store.get(address("a")).files == payload("a")


@pytest.mark.parametrize("dropped", [True, False])
def test_a_recomputation_that_differs_names_the_file(store: Store, dropped: bool) -> None:
    fill(store, "a")
    if dropped:
        store.drop_payload(address("a"))
    other = payload("a") | {"mask.safetensors": b"other"}
    with pytest.raises(StoreError, match=r'did not reproduce its digest: file "mask\.safetensors"'):
        store.put(address("a"), other, {}, [])
    assert store.has(address("a")) is not dropped


def test_a_recomputation_with_a_file_less_or_more_differs(store: Store) -> None:
    fill(store, "a")
    with pytest.raises(StoreError, match=r"no such file"):
        store.put(address("a"), payload("a") | {"more": b""}, {}, [])
    with pytest.raises(StoreError, match=r'file "mask\.safetensors"'):
        store.put(address("a"), {"state.safetensors": payload("a")["state.safetensors"]}, {}, [])


def test_dropping_what_is_not_there_makes_no_store(store: Store) -> None:
    store.drop_payload(address("a"))
    store.drop_scratch("checkpoint")
    assert not store.root.exists()


# -- lineage -----------------------------------------------------------------------------------------------------------


def test_equal_fields_in_any_order_are_one_environment() -> None:
    assert Environment({"a": 1, "b": "2"}).id == Environment({"b": "2", "a": 1}).id
    assert Environment({"a": 1}).id != Environment({"a": "1"}).id
    assert len(HERE.id) == 16


def test_reuse_same_sees_only_what_was_made_here(tmp_path: Path) -> None:
    here, there = open_store(tmp_path), open_store(tmp_path, THERE)
    fill(there, "a")
    assert not here.has(address("a"))
    with pytest.raises(LostArtifact, match="--reuse any"):
        here.get(address("a"))
    with pytest.raises(LostArtifact, match="parent"):
        here.put(address("child"), {}, {}, [address("a")])


def test_reuse_any_mixes_lineages_and_marks_them(tmp_path: Path) -> None:
    mixing = open_store(tmp_path, reuse="any")
    fill(open_store(tmp_path, THERE), "a")
    assert mixing.get(address("a")).lineage == (THERE.id,)
    child = mixing.put(address("child"), payload("child"), {}, [address("a")])
    grandchild = mixing.put(address("grandchild"), {}, {}, [address("child")])
    assert child.lineage == grandchild.lineage == tuple(sorted([HERE.id, THERE.id]))
    assert open_store(tmp_path, THERE, reuse="any").get(address("child")).lineage == child.lineage
    for strict in (open_store(tmp_path), open_store(tmp_path, THERE)):
        assert not strict.has(address("child"))


def test_reuse_any_prefers_what_was_made_here(tmp_path: Path) -> None:
    for environment in (THERE, HERE):
        fill(open_store(tmp_path, environment), "a")
    for environment in (THERE, HERE):
        assert open_store(tmp_path, environment, reuse="any").get(address("a")).lineage == (environment.id,)


def test_reuse_any_serves_another_lineage_where_its_own_is_corrupt(tmp_path: Path) -> None:
    for environment in (THERE, HERE):
        fill(open_store(tmp_path, environment), "a")
    mixing = open_store(tmp_path, reuse="any")
    (folder_of(mixing, "a") / "mask.safetensors").write_bytes(b"x" * 300)
    assert mixing.get(address("a")).lineage == (THERE.id,)
    assert len(left_over(tmp_path, "*.bad")) == 1


def test_a_child_has_the_lineage_of_the_parent_that_was_read(tmp_path: Path) -> None:
    fill(open_store(tmp_path, THERE), "a")
    mixing = open_store(tmp_path, reuse="any")
    mixing.get(address("a"))
    fill(open_store(tmp_path), "a")
    child = mixing.put(address("child"), {}, {}, [address("a")])
    assert child.lineage == tuple(sorted([HERE.id, THERE.id]))


def test_a_parent_with_a_payload_goes_before_one_without(tmp_path: Path) -> None:
    for environment in (THERE, HERE):
        fill(open_store(tmp_path, environment), "a")
    open_store(tmp_path).drop_payload(address("a"))
    child = open_store(tmp_path, reuse="any").put(address("child"), {}, {}, [address("a")])
    assert child.lineage == tuple(sorted([HERE.id, THERE.id]))


def test_environments_compute_the_same_address_side_by_side(tmp_path: Path) -> None:
    open_store(tmp_path).put(address("a"), {"w": b"here"}, {}, [])
    open_store(tmp_path, THERE).put(address("a"), {"w": b"there"}, {}, [])
    assert open_store(tmp_path).get(address("a")).files == {"w": b"here"}
    assert open_store(tmp_path, THERE).get(address("a")).files == {"w": b"there"}


# -- corruption --------------------------------------------------------------------------------------------------------


def swap(one: Path, other: Path) -> None:
    aside = one.with_name(one.name + "-aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def flip_a_bit(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def change_length(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.7 else data + rng.randbytes(1))


def corrupt(store: Store, rng: random.Random) -> set[str]:
    """Damage the artifacts "a" and perhaps "b"; returns whose content can no longer be trusted."""
    a, b = folder_of(store, "a"), folder_of(store, "b")
    file = rng.choice(["state.safetensors", "mask.safetensors"])
    one: list[Callable[[], object]] = [
        lambda: flip_a_bit(a / file, rng),
        lambda: flip_a_bit(a / RECORD, rng),
        lambda: change_length(a / file, rng),
        lambda: change_length(a / RECORD, rng),
        lambda: (a / file).unlink(),
        lambda: (a / RECORD).unlink(),
        lambda: swap(a / "state.safetensors", a / "mask.safetensors"),
        lambda: (a / RECORD).write_bytes(b'{"content":{},"sha256":""}\n'),
        lambda: shutil.copy(b / RECORD, a / RECORD),
        lambda: a.rename(a.with_name(THERE.id)),
    ]
    both: list[Callable[[], object]] = [
        lambda: swap(a / file, b / file),
        lambda: swap(a / RECORD, b / RECORD),
        lambda: swap(a, b),
        lambda: swap(a.parent, b.parent),
    ]
    chosen = rng.choice(one + both)
    chosen()
    return {"a", "b"} if chosen in both else {"a"}


@pytest.mark.parametrize("reuse", ["same", "any"])
def test_no_corruption_is_ever_returned_as_good(tmp_path: Path, reuse: Literal["same", "any"]) -> None:
    sound = open_store(tmp_path / "sound")
    fill(sound, "a", "b")
    for trial in range(100):
        rng = random.Random(f"{reuse} {trial}")
        shutil.copytree(sound.root, tmp_path / "damaged")
        store = open_store(tmp_path / "damaged", reuse=reuse)
        victims = corrupt(store, rng)
        for name in sorted(victims):
            believed = store.has(address(name))
            with pytest.raises(LostArtifact):
                store.get(address(name))
            assert not store.has(address(name))
            if believed:
                assert left_over(folder_of(store, name).parent, "*.bad")
            if trial % 5 == 0:
                fill(store, name)
                victims = victims - {name}
        for name in {"a", "b"} - victims:
            assert store.get(address(name)).files == payload(name)
        shutil.rmtree(store.root)


def test_setting_aside_twice_keeps_both(store: Store) -> None:
    for _ in range(2):
        fill(store, "a")
        (folder_of(store, "a") / "mask.safetensors").write_bytes(b"x" * 300)
        with pytest.raises(LostArtifact, match=r'"mask\.safetensors" does not have its recorded hash; set aside as'):
            store.get(address("a"))
    assert len(left_over(store.root, "*.bad")) == 2


def test_a_put_mends_a_file_that_was_silently_damaged(store: Store) -> None:
    fill(store, "a")
    (folder_of(store, "a") / "mask.safetensors").write_bytes(b"x" * 300)
    fill(store, "a")
    assert store.get(address("a")).files == payload("a")
    assert left_over(store.root, "*.bad") == []


def test_a_put_sets_a_damaged_record_aside(store: Store) -> None:
    fill(store, "a")
    flip_a_bit(folder_of(store, "a") / RECORD, random.Random(1))
    fill(store, "a")
    assert store.get(address("a")).files == payload("a")
    assert len(left_over(store.root, "*.bad")) == 1


def test_a_file_of_another_size_is_missed_without_hashing(store: Store) -> None:
    fill(store, "a")
    file = folder_of(store, "a") / "mask.safetensors"
    file.write_bytes(b"x" * 300)
    assert store.has(address("a"))
    file.write_bytes(b"x" * 299)
    assert not store.has(address("a"))


def test_a_scan_finds_each_damaged_artifact_of_any_lineage(tmp_path: Path) -> None:
    here, there = open_store(tmp_path), open_store(tmp_path, THERE)
    fill(here, "a", "b", "c")
    fill(there, "a", "d")
    (folder_of(here, "b") / "mask.safetensors").write_bytes(b"x" * 300)
    (folder_of(there, "d", THERE) / "mask.safetensors").unlink()
    verdicts = {("a", True), ("b", False), ("c", True), ("d", False)}
    found = list(here.scan())
    assert set(found) == {(address(name), ok) for name, ok in verdicts}
    assert len(found) == 5
    assert len(left_over(tmp_path, "*.bad")) == 1


# -- failing and dying writers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "at_least"), [("write", 3), ("fsync", 3), ("replace", 2), ("link", 1)])
@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "Make the folder writable"), (errno.EIO, "Mend it")],
)
def test_a_failing_disk_leaves_no_partial_artifact(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, at_least: int, number: int, advice: str
) -> None:
    genuine: Callable[..., Any] = getattr(os, call)
    fill(store, "finished")

    def failing_from(first: int) -> Callable[..., Any]:
        calls = count()

        def fail(*args: Any) -> Any:
            if next(calls) >= first:
                raise OSError(number, os.strerror(number))
            return genuine(*args)

        return fail

    for first in count():
        monkeypatch.setattr(os, call, failing_from(first))
        name, message = f"{call} {number} {first}", ""
        try:
            fill(store, name)
        except StoreError as error:
            message = str(error)
        monkeypatch.setattr(os, call, genuine)
        if not message:
            break  # the disk held for as long as a put needs
        for part in (str(store.root), os.strerror(number), advice, "nothing finished is lost", "--store"):
            assert part in message
        if store.has(address(name)):
            assert store.get(address(name)).files == payload(name)  # only the last sync had failed
        else:
            assert not folder_of(store, name).exists()
        fill(store, name)
        assert store.get(address(name)).files == payload(name)
    assert first >= at_least
    assert store.get(address("finished")).files == payload("finished")
    assert left_over(store.root, ".*.tmp") == []


def test_a_write_that_stops_half_way_is_a_store_error(store: Store) -> None:
    fill(store, "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StoreError, match="cannot write to the store"):
            store.put(address("big"), {"w": b"x" * 50_000}, {}, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not store.has(address("big"))
    assert left_over(store.root, ".*.tmp") == []


def test_a_read_only_store_is_read_and_says_so_when_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "a")
    genuine = os.open

    def read_only(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return genuine(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    reader = open_store(store.root)
    assert reader.get(address("a")).files == payload("a")
    assert list(reader.scan()) == [(address("a"), True)]
    writes: list[Callable[[], object]] = [
        lambda: fill(reader, "b"),
        lambda: reader.put_scratch("s", b""),
        lambda: reader.put_json("j", 1),
        lambda: reader.lease(address("b")).try_acquire(),
    ]
    for write in writes:
        with pytest.raises(StoreError, match="Read-only file system"):
            write()


def test_a_checkpoint_that_cannot_be_written_keeps_the_one_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_scratch("run", b"before")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.put_scratch("run", b"after")
    assert store.get_scratch("run") == b"before"
    assert left_over(store.root, ".*.tmp") == []


@pytest.mark.parametrize("recorded", [True, False])
def test_a_put_sweeps_what_a_killed_writer_left(store: Store, recorded: bool) -> None:
    fill(store, "a")
    folder = folder_of(store, "a")
    (folder / ".mask.safetensors.1-0.tmp").touch()
    if not recorded:
        (folder / RECORD).unlink()
        (folder / "of-an-older-version").touch()
    fill(store, "a")
    assert {path.name for path in folder.iterdir()} == {*payload("a"), RECORD}


# Every system call that a put depends on counts; the child is killed at the n-th, wherever in a put that is.
DYING_WRITER = """
def dying(call, calls=count(1)):
    def counted(*args):
        if next(calls) == {step}:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args)
    return counted
calls = count(1)
for name in ("write", "fsync", "replace", "link"):
    setattr(os, name, dying(getattr(os, name), calls))
for i in count({start}):
    fill(store, i)
    store.put_scratch("checkpoint", payload(i)["state.safetensors"])
    print(i, flush=True)
"""


def test_a_store_whose_writers_are_killed_never_returns_a_damaged_artifact(store: Store) -> None:
    fill(store, "before")
    finished: set[int] = set()
    left: list[Path] = []
    steps = [3, 6, 8, 9, 11, 13, 15, 18, 29, 40]  # the first put makes fewer than 20 calls
    for kill in range(0, len(steps), 2):
        pair = [
            child(store, DYING_WRITER.format(step=step, start=100 * (kill + i)))
            for i, step in enumerate(steps[kill : kill + 2])
        ]
        for writer in pair:
            said, _ = writer.communicate()
            assert writer.returncode == -9
            finished.update(map(int, said.split()))
        left += left_over(store.root / "objects", ".*.tmp")
        for i in (100 * (kill + writer) + put for writer in range(2) for put in range(5)):
            if store.has(address(i)):
                assert store.get(address(i)).files == payload(i)
            else:
                assert i not in finished
                with pytest.raises(LostArtifact):
                    store.get(address(i))
        assert store.get_scratch("checkpoint") in {None, *(payload(i)["state.safetensors"] for i in range(1000))}
    assert finished
    assert left
    assert all(ok for _, ok in store.scan())
    assert left_over(store.root / "objects", ".*.tmp") == []
    assert left_over(store.root, "*.bad") == []
    store.put_scratch("checkpoint", b"")
    assert left_over(store.root / "scratch", ".*.tmp") == []


# -- sharing -----------------------------------------------------------------------------------------------------------


def test_two_processes_put_into_one_store_at_once(store: Store) -> None:
    script = "print('ready', flush=True); input()\nfor i in [*range(20), *range({0}, {0} + 10)]: fill(store, i)"
    writers = [child(store, script.format(start)) for start in (100, 200)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        print(file=writer.stdin, flush=True)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    for i in (*range(20), *range(100, 110), *range(200, 210)):
        assert store.get(address(i)).files == payload(i)
    assert len(list(store.scan())) == 40
    assert left_over(store.root, ".*.tmp") == []


def test_of_two_writers_that_disagree_one_wins_whole_and_the_other_is_told(tmp_path: Path) -> None:
    for trial in range(10):
        root = tmp_path / str(trial)
        stores = [open_store(root) for _ in range(2)]  # neither has made the folder yet
        refused: list[int] = []
        start = threading.Barrier(2)

        def put(writer: int, stores: list[Store], start: threading.Barrier, refused: list[int]) -> None:
            start.wait()
            try:
                stores[writer].put(address("a"), {"one": b"%d" % writer, "two": b"%d" % writer}, {}, [])
            except StoreError:
                refused.append(writer)

        threads = [threading.Thread(target=put, args=(writer, stores, start, refused)) for writer in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        winner = b"%d" % (1 - refused[0])
        assert open_store(root).get(address("a")).files == {"one": winner, "two": winner}


def test_a_lease_is_held_by_one_and_given_back_on_exit(store: Store) -> None:
    with store.lease(address("a")) as mine, store.lease(address("a")) as other:
        assert mine.try_acquire()
        assert mine.try_acquire()
        assert not other.try_acquire()
        assert store.lease(address("b")).try_acquire()
        fill(store, "a")
        mine.release()
        assert other.try_acquire()
    with store.lease(address("a")) as again:
        assert again.try_acquire()


def test_a_lease_dies_with_its_process(store: Store) -> None:
    holder = child(store, "lease = store.lease(address('a')); print(lease.try_acquire(), flush=True); input()")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with store.lease(address("a")) as lease:
        assert not lease.try_acquire()
        holder.kill()
        holder.communicate()
        assert lease.try_acquire()


# -- scratch and cache -------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_replaced_and_dropped(store: Store) -> None:
    name = "run/" + "x" * 300
    assert store.get_scratch(name) is None
    for data in (b"", b"one", b"two" * 1000):
        store.put_scratch(name, data)
        assert store.get_scratch(name) == data
    store.drop_scratch(name)
    assert store.get_scratch(name) is None


def test_a_checkpoint_stays_in_its_environment(tmp_path: Path) -> None:
    open_store(tmp_path).put_scratch("run", b"here")
    assert open_store(tmp_path, THERE, reuse="any").get_scratch("run") is None


@pytest.fixture
def checkpoints(store: Store) -> tuple[Path, Path]:
    store.put_scratch("one", b"1" * 50)
    store.put_scratch("two", b"2" * 50)
    one, two = (path for path in (store.root / "scratch").rglob("*") if path.is_file())
    return one, two


@pytest.mark.parametrize("damage", [flip_a_bit, change_length])
def test_a_corrupt_checkpoint_is_none_and_set_aside(
    store: Store, checkpoints: tuple[Path, Path], damage: Callable[[Path, random.Random], None]
) -> None:
    for path in checkpoints:
        damage(path, random.Random(1))
    assert [store.get_scratch(name) for name in ("one", "two")] == [None, None]
    assert len(left_over(store.root, "*.bad")) == 2
    store.put_scratch("one", b"again")
    assert store.get_scratch("one") == b"again"


def test_swapped_checkpoints_are_found_out(store: Store, checkpoints: tuple[Path, Path]) -> None:
    swap(*checkpoints)
    assert [store.get_scratch(name) for name in ("one", "two")] == [None, None]


def test_a_corrupt_or_swapped_cache_entry_is_none(store: Store) -> None:
    store.put_json("probe", {"layers": [1, 2]})
    (path,) = (store.root / "cache").iterdir()
    assert store.cached_json("probe") == {"layers": [1, 2]}
    assert store.cached_json("other") is None
    sound = path.read_bytes()
    for position in range(len(sound)):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
        assert store.cached_json("probe") is None
    path.write_bytes(sound)
    path.rename(path.with_name(hashlib.sha256(b"other").hexdigest() + ".json"))
    assert store.cached_json("other") is None


# -- the folder --------------------------------------------------------------------------------------------------------


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"not a prunebench store: it holds 'thesis\.tex'"):
        open_store(tmp_path)


def test_a_file_is_refused_as_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="not a folder"):
        open_store(tmp_path / "file")


@pytest.mark.parametrize(
    ("marker", "message"),
    [('{"format": 2}', "a store of format 2; this prunebench knows format 1"), ("{}", "is damaged"), ("", "damaged")],
)
def test_a_store_of_another_format_is_refused(store: Store, marker: str, message: str) -> None:
    fill(store, "a")
    assert json.loads((store.root / MARKER).read_text()) == {"format": 1}
    (store.root / MARKER).write_text(marker)
    with pytest.raises(StoreError, match=message):
        open_store(store.root)


def test_a_folder_that_was_filled_by_something_else_meanwhile_is_not_claimed(store: Store) -> None:
    store.root.mkdir()
    (store.root / "thesis.tex").touch()
    with pytest.raises(StoreError, match="not a prunebench store"):
        fill(store, "a")
    assert [path.name for path in store.root.iterdir()] == ["thesis.tex"]


def test_a_store_is_one_from_the_moment_that_another_process_begins_to_make_it(store: Store) -> None:
    store.root.mkdir()
    (store.root / f".{MARKER}.1-0.tmp").touch()
    fill(open_store(store.root), "a")
    assert open_store(store.root).has(address("a"))


def test_a_store_that_was_deleted_under_a_process_is_made_again(store: Store) -> None:
    fill(store, "a")
    shutil.rmtree(store.root)
    assert not store.has(address("a"))
    fill(store, "b")
    assert open_store(store.root).has(address("b"))


def test_a_store_keeps_its_place_when_the_process_changes_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(Path("store"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    fill(store, "a")
    assert open_store(tmp_path / "store").has(address("a"))


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_tensors_of_every_kind_come_back_bit_for_bit() -> None:
    weight = torch.randn(4, 6)
    tensors = {
        "float": weight,
        "tied": weight,
        "transposed": weight.t(),
        "channels": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "expanded": torch.ones(1).expand(5),
        "half": torch.randn(7).bfloat16(),
        "bool": torch.tensor([True, False]),
        "count": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "special": torch.tensor([float("nan"), -0.0, float("inf"), 1e-45]),
        "grad": torch.randn(2, requires_grad=True),
    }
    found = load_tensors(dump_tensors(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        dense = tensor.detach().contiguous().flatten().view(torch.uint8) if tensor.dim() else tensor
        assert torch.equal(found[name].flatten().view(torch.uint8) if tensor.dim() else found[name], dense)


def test_equal_tensors_give_equal_bytes_in_any_order_and_layout() -> None:
    tensors = {"b": torch.randn(3, 4), "a": torch.arange(5), "c": torch.randn(2).double()}
    again = {name: tensors[name].clone() for name in reversed(tensors)}
    again["b"] = tensors["b"].t().contiguous().t()
    assert dump_tensors(again) == dump_tensors(tensors)
    assert dump_tensors(load_tensors(dump_tensors(tensors))) == dump_tensors(tensors)


def test_loaded_tensors_have_one_order() -> None:
    names = [f"layer{number}" for number in range(12)]
    data = dump_tensors({name: torch.ones(2) for name in reversed(names)})
    assert {tuple(load_tensors(data)) for _ in range(20)} == {tuple(sorted(names))}


def test_loaded_tensors_own_their_memory() -> None:
    data = dump_tensors({"a": torch.zeros(100), "b": torch.ones(7)})
    found = load_tensors(data)
    assert all(tensor.untyped_storage().nbytes() == 4 * tensor.numel() for tensor in found.values())
    assert all(tensor.untyped_storage().resizable() for tensor in found.values())
    found["a"].add_(1)
    assert load_tensors(data)["a"].count_nonzero() == 0
