from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import Workshop, open_store, prepared, rows, run, text
from prunebench import runner
from prunebench.api.errors import StoreError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.engine.executors.api import Executor, Resources, WorkerConfig
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.executors.local import LocalExecutor

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
TWO_WORKERS = {"execution": {"workers": 2, "checkpoint_seconds": 0}}


def site(store: Path) -> WorkerConfig:
    environment = dict(open_store(store).environment.fields)
    return WorkerConfig(str(store), ".", "cpu", 1, environment, "same", 60.0)


@contextmanager
def local(store: Path, workers: int = 1) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(site(store), workers)
    try:
        yield executor
    finally:
        executor.shutdown()


def in_workers(store: Path, *changes: dict[str, Any], observe: Callable[[Event], None] | None = None) -> runner.Outcome:
    """A run in two workers, which know what is installed."""
    return runner.run(prepared(store, *changes, TWO_WORKERS), observe or (lambda event: None))


def work(workshop: Workshop, ref: Ref) -> str:
    return json.dumps(workshop.work(ref.key, frozenset([ref])).to_json())


def until(executor: Executor, *kinds: str) -> list[dict[str, Any]]:
    """Events up to the first of these kinds."""
    found: list[dict[str, Any]] = []
    while not any(event["kind"] in kinds for event in found):
        found += executor.events(5)
    return found


def init(workshop: Workshop) -> Ref:
    return workshop.chain.dense.weights


# Rows.


@pytest.mark.usefixtures("quick_workers")
def test_workers_and_the_calling_process_give_the_same_bytes(store_path: Path, undisturbed: bytes) -> None:
    assert text(in_workers(store_path)) == undisturbed


@pytest.mark.usefixtures("installed")
def test_spawned_workers_give_the_same_bytes(store_path: Path, undisturbed: bytes) -> None:
    ready = prepared(store_path, {"execution": {"workers": 1}})
    assert text(runner.run(ready)) == undisturbed


# A worker that ends.


@pytest.mark.parametrize(("kind", "how"), [("exits", "exit code 7"), ("killed", "signal 9 (out of memory?)")])
@pytest.mark.usefixtures("quick_workers")
def test_a_worker_that_ends_fails_its_trial_and_the_rest_goes_on(
    store_path: Path, tmp_path: Path, kind: str, how: str
) -> None:
    changes = {
        "seeds": [0, 1],
        "entry": [
            {"name": "dense", "units": "toy-units"},
            {"name": "crash", **IMP, "score": {"use": "odd-score", "kind": kind}},
            {"name": "imp", **IMP, "train": {"batch": 12}},
        ],
    }
    outcome = in_workers(store_path, changes)
    assert outcome.failed == {
        f"crash, toy-net, toy-data, seed {seed}": f"the worker process ended with {how}" for seed in (0, 1)
    }
    alone = run(tmp_path / "alone", changes, entries=["dense", "imp"])
    for entry in ("dense", "imp"):
        assert rows(outcome, entry=entry) == rows(alone, entry=entry)
    assert {row["outcome"] for row in rows(outcome, entry="crash")} == {"failed"}


@pytest.mark.usefixtures("quick_workers")
def test_a_worker_that_ended_while_idle_is_replaced(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root) as executor:
        executor.submit(work(workshop, ref), Resources())
        until(executor, "done")
        (worker,) = executor._workers
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        workshop.store.drop_payload(ref.address)
        executor.submit(work(workshop, ref), Resources())
        events = until(executor, "done", "failed")
        assert [event["kind"] for event in events] == ["started", "done"]
    assert workshop.store.has(ref.address)


def test_workers_that_never_get_going_end_the_run(
    store_path: Path, tmp_path: Path, quick_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "goes_away.py").write_text("import os\nos._exit(3)\n")
    info = tmp_path / "site" / "away-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: away\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[prunebench]\naway = goes_away\n")
    with pytest.raises(StoreError, match="the worker process ended with exit code 3"):
        in_workers(store_path)


# The four calls.


def test_the_calling_process_does_one_piece_for_each_call(workshop: Workshop) -> None:
    from engine.toy_runs import catalogue

    executor = InlineExecutor(site(workshop.store.root), catalogue())
    ref = init(workshop)
    assert executor.free == 1
    assert executor.submit(work(workshop, ref), Resources()) == ref.key
    assert executor.free == 0
    kinds = [(event["kind"], event["key"]) for event in executor.events(0)]
    assert kinds == [("started", ref.key), ("done", ref.key)]
    assert executor.free == 1
    assert executor.events(0) == []
    assert workshop.store.has(ref.address)
    executor.submit(work(workshop, ref), Resources())
    executor.cancel(ref.key)
    assert executor.events(0) == [{"kind": "cancelled", "key": ref.key}]
    assert executor.events(0) == []
    assert executor.free == 1
    executor.shutdown()


@pytest.mark.usefixtures("quick_workers")
def test_workers_are_started_when_they_are_needed_and_end_at_shutdown(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root, 3) as executor:
        assert executor.free == 3
        assert executor._workers == []
        assert executor.submit(work(workshop, ref), Resources()) == ref.key
        assert (executor.free, len(executor._workers)) == (2, 1)
        events = until(executor, "done")
        assert [event["kind"] for event in events] == ["started", "done"]
        assert {event["key"] for event in events} == {ref.key}
        assert events[-1]["seconds"] > 0
        assert (executor.free, len(executor._workers)) == (3, 1)
        processes = [worker.process for worker in executor._workers]
    assert all(process.exitcode == 0 for process in processes)
    assert executor._workers == []


@pytest.mark.usefixtures("quick_workers")
def test_work_that_is_cancelled_checkpoints_and_goes_on_bit_equal(store_path: Path, tmp_path: Path) -> None:
    changes = {"train": {"horizon": "3000it"}, "model": {"use": "net", "kind": "dropout"}}
    workshop, at_once = Workshop(store_path, changes), Workshop(tmp_path / "at-once", changes)
    for one in (workshop, at_once):
        trained = one.chain.find(one.chain.dense, 1)
    workshop.make(init(workshop))
    at_once.make(trained.end)
    with local(store_path) as executor:
        executor.submit(work(workshop, trained.end), Resources())
        until(executor, "progress")
        executor.cancel(trained.key)
        assert until(executor, "cancelled", "done", "failed")[-1]["kind"] == "cancelled"
        assert executor.free == 1
        assert len([path for path in (store_path / "scratch").rglob("*") if path.is_file()]) == 1
        assert not workshop.store.has(trained.end.address)
        # A cancel that comes too late is not taken for one of the next piece of work.
        executor._workers[0].connection.send(("cancel", trained.key[::-1]))
        executor.submit(work(workshop, trained.end), Resources())
        events = until(executor, "done", "failed", "cancelled")
    assert events[-1]["kind"] == "done"
    progress = [event["iteration"] for event in events if event["kind"] == "progress"]
    assert min(progress) > 50
    assert workshop.store.get(trained.end.address).digests == at_once.store.get(trained.end.address).digests


@pytest.mark.usefixtures("quick_workers")
def test_what_another_process_is_working_on_is_busy(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root) as executor, workshop.store.lease(ref.key) as lease:
        assert lease.try_acquire()
        executor.submit(work(workshop, ref), Resources())
        assert until(executor, "busy", "done")[-1] == {"kind": "busy", "key": ref.key}
        lease.release()
        executor.submit(work(workshop, ref), Resources())
        assert until(executor, "busy", "done")[-1]["kind"] == "done"


@pytest.mark.usefixtures("quick_workers")
def test_a_lost_parent_is_told_with_its_address(workshop: Workshop) -> None:
    trained = workshop.chain.find(workshop.chain.dense, 1)
    with local(workshop.store.root) as executor:
        executor.submit(work(workshop, trained.end), Resources())
        event = until(executor, "lost", "done", "failed")[-1]
    assert (event["kind"], event["address"]) == ("lost", init(workshop).address)


@pytest.mark.usefixtures("quick_workers")
def test_shutdown_ends_a_worker_that_is_in_the_middle_of_something(store_path: Path) -> None:
    workshop = Workshop(store_path, train={"horizon": "1000000it"})
    trained = workshop.chain.find(workshop.chain.dense, 1)
    workshop.make(init(workshop))
    with local(store_path) as executor:
        executor.submit(work(workshop, trained.end), Resources())
        until(executor, "progress")
        process = executor._workers[0].process
    assert process.exitcode is not None
