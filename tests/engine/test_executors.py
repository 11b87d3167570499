from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import Workshop, catalogue, open_store, prepared, rows, run, text, worker_config
from prunebench import runner
from prunebench.api.errors import WorkerError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.components.catalogue import Catalogue
from prunebench.components.left_threads import left_by_others
from prunebench.engine.executors import local as local_module
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.origins import origins_of
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.engine.scheduler import execute
from prunebench.engine.work import Work
from prunebench.testing import ExecutorContract, faults, toy_catalogue
from prunebench.testing.faults import Fault

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
TWO_WORKERS = {"execution": {"workers": 2, "checkpoint_seconds": 0}}


@contextmanager
def local(store: Path, workers: int = 1) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(worker_config(store), workers, silence=1e9)
    try:
        yield executor
    finally:
        executor.shutdown()


def in_workers(store: Path, *changes: dict[str, Any], observe: Callable[[Event], None] | None = None) -> runner.Outcome:
    """A run in two workers, which know what is installed."""
    return runner.run(prepared(store, *changes, TWO_WORKERS), observe or (lambda event: None))


def work(workshop: Workshop, ref: Ref) -> Work:
    return workshop.work(ref.key, frozenset([ref]))


def until(executor: Executor, *kinds: str) -> list[dict[str, Any]]:
    """Events up to the first of these kinds."""
    found: list[dict[str, Any]] = []
    while not any(event["kind"] in kinds for event in found):
        found += executor.events(5)
    return found


def has_room(executor: Executor) -> bool:
    return executor.has_room(Resources())


ENTRY = {"name": "imp", "schedule": "rewind", "select": "global", "units": "toy-units"}


def faulty() -> Catalogue:
    """The toys, and a score that goes wrong on request."""
    return toy_catalogue().with_components(faults.prunebench_components(), "faults 1.0")


def init(workshop: Workshop) -> Ref:
    return workshop.chain.dense.weights


class TestInlineExecutor(ExecutorContract):
    own_processes = False

    def start(self, config: WorkerConfig, catalogue: Catalogue) -> Executor:
        return InlineExecutor(config, catalogue)


@pytest.mark.usefixtures("quick_workers")
class TestLocalExecutor(ExecutorContract):
    def start(self, config: WorkerConfig, catalogue: Catalogue) -> Executor:
        return LocalExecutor(config, 2, silence=1e9)


# Rows.


@pytest.mark.usefixtures("quick_workers")
def test_workers_and_the_calling_process_give_the_same_bytes(store_path: Path, undisturbed: bytes) -> None:
    assert text(in_workers(store_path)) == undisturbed


def test_workers_that_are_no_forks_give_the_same_bytes(
    store_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "nursery", lambda: multiprocessing.get_context("spawn"))
    ready = prepared(store_path, {"execution": {"workers": 1}})
    assert text(runner.run(ready)) == undisturbed


# A worker that ends.


@pytest.mark.parametrize(("kind", "how"), [("exits", "exit code 7"), ("killed", "signal 9 (Killed; out of memory?)")])
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
        f"crash, toy-net, toy-data, seed {seed}": f"the worker process ended with {how}, 3 times" for seed in (0, 1)
    }
    alone = run(tmp_path / "alone", changes, entries=["dense", "imp"])
    for entry in ("dense", "imp"):
        assert rows(outcome, entry=entry) == rows(alone, entry=entry)
    assert {row["outcome"] for row in rows(outcome, entry="crash")} == {"failed"}


@pytest.mark.usefixtures("quick_workers")
def test_after_a_component_that_leaves_a_thread_behind_work_goes_on_in_another_process(
    store_path: Path, tmp_path: Path
) -> None:
    changes = {
        "entry": [
            {"name": "thread", **IMP, "score": {"use": "odd-score", "kind": "thread"}},
            {"name": "imp", **IMP, "train": {"batch": 12}},
        ],
        "execution": {"workers": 1, "checkpoint_seconds": 0},
    }
    outcome = runner.run(prepared(store_path, changes))
    assert not [trial for trial in outcome.failed if not trial.startswith("thread, ")]
    alone = run(tmp_path / "alone", changes, entries=["imp"])
    assert rows(outcome, entry="imp") == rows(alone, entry="imp")


def test_threads_of_others_are_told_from_those_of_libraries() -> None:
    known, wake = threading.enumerate(), threading.Event()
    namespace: dict[str, Any] = {"__name__": "plugin_of_others"}
    exec("def wait(event):\n    event.wait(30)\n", namespace)
    ours = threading.Thread(target=wake.wait, args=(30,), daemon=True)
    theirs = threading.Thread(target=namespace["wait"], args=(wake,), daemon=True, name="theirs")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int)
        ours.start()
        theirs.start()
        assert left_by_others(known) == ["theirs"]
        wake.set()
        theirs.join()
        assert left_by_others(known) == []


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


@pytest.mark.usefixtures("quick_workers")
def test_a_worker_that_is_killed_before_it_is_ready_does_not_end_the_run(
    store_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunebench.engine.executors import local as module

    started, real = [], module._Process

    class Unlucky(real):  # type: ignore[valid-type,misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)
            if len(started) <= 2:
                self.process.kill()
                self.process.join()

    monkeypatch.setattr(module, "_Process", Unlucky)
    events: list[Event] = []
    assert text(in_workers(store_path, observe=events.append)) == undisturbed
    restarts = [event.fields["error"] for event in events if event.kind == "phase-restarted"]
    assert restarts == ["the worker process ended with signal 9 (Killed; out of memory?)"] * 2


@pytest.mark.usefixtures("quick_workers")
def test_workers_that_never_get_going_end_the_run(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "goes_away.py").write_text(
        "import os\n"
        f"if os.getpid() != {os.getpid()}:\n    os._exit(3)\n"
        "from prunebench.testing.faults import Fault, FaultConfig\n"
        "from prunebench import Component\n"
        'AWAY = Component("goes-away", FaultConfig, Fault, version=1)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    away = import_module("goes_away")
    catalogue = toy_catalogue().with_components([replace(away.AWAY, build=Away)], "away 1.0")
    monkeypatch.setattr(Away, "__module__", "goes_away")
    ready = prepared(store_path, TWO_WORKERS, entry=[{**ENTRY, "score": "goes-away"}], parts=catalogue)
    with pytest.raises(WorkerError, match="ended with exit code 3, before it came to any work; so did 2 others"):
        runner.run(ready)
    assert not (store_path / "objects").exists()


class Away(Fault):
    """A score of a module that ends every process but one that imports it."""


@pytest.mark.usefixtures("quick_workers")
def test_work_without_a_sign_of_progress_fails_and_the_rest_goes_on(store_path: Path) -> None:
    config = worker_config(store_path)
    entries = [{"name": "dense", "units": "toy-units"}, {**ENTRY, "score": {"use": "toy-fault", "kind": "silent"}}]
    plan = prepared(store_path, entry=entries, parts=faulty()).plan
    executor = LocalExecutor(replace(config, origins=origins_of(faulty(), ())), 2, silence=2.0)
    try:
        done = execute(plan, open_store(store_path), executor)
    finally:
        executor.shutdown()
    (error,) = done.failed.values()
    assert error == "no sign of progress for 2 s; its worker was ended"
    assert done.done == len(plan.wanted) - len(done.failed) - len(done.skipped)


@pytest.mark.usefixtures("quick_workers")
def test_an_idle_worker_that_kept_what_it_leaked_is_ended_before_its_next_work(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root) as executor:
        executor.submit(work(workshop, ref), Resources(memory=1))
        events = until(executor, "done", "died")
        for _ in range(200):
            if not executor._workers:
                break
            events += executor.events(0.01)
        assert executor._workers == []
    assert {event["kind"] for event in events} <= {"started", "done", "died"}


# Calls.


def test_the_calling_process_does_one_piece_for_each_call(workshop: Workshop) -> None:
    executor = InlineExecutor(worker_config(workshop.store.root), catalogue())
    ref = init(workshop)
    assert has_room(executor)
    executor.submit(work(workshop, ref), Resources())
    assert not has_room(executor)
    kinds = [(event["kind"], event["key"]) for event in executor.events(0)]
    assert kinds == [("started", ref.key), ("done", ref.key)]
    assert has_room(executor)
    assert executor.events(0) == []
    assert workshop.store.has(ref.address)
    executor.submit(work(workshop, ref), Resources())
    executor.cancel(ref.key)
    assert executor.events(0) == [{"kind": "cancelled", "key": ref.key}]
    assert executor.events(0) == []
    assert has_room(executor)
    executor.shutdown()


@pytest.mark.usefixtures("quick_workers")
def test_workers_are_started_when_they_are_needed_and_end_at_shutdown(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root, 3) as executor:
        assert executor._workers == []
        executor.submit(work(workshop, ref), Resources())
        assert len(executor._workers) == 1
        events = until(executor, "done")
        assert [event["kind"] for event in events] == ["started", "done"]
        assert {event["key"] for event in events} == {ref.key}
        assert events[-1]["seconds"] > 0
        assert len(executor._workers) == 1
        processes = [worker.process for worker in executor._workers]
    assert all(process.exitcode == 0 for process in processes)
    assert executor._workers == []


@pytest.mark.usefixtures("quick_workers")
def test_a_cancel_that_comes_too_late_is_not_taken_for_one_of_the_next_work(workshop: Workshop) -> None:
    ref = init(workshop)
    with local(workshop.store.root) as executor:
        executor.submit(work(workshop, ref), Resources())
        until(executor, "done")
        executor.cancel(ref.key)
        executor._workers[0].connection.send(("cancel", ref.key[::-1]))
        workshop.store.drop_payload(ref.address)
        executor.submit(work(workshop, ref), Resources())
        assert until(executor, "done", "cancelled")[-1]["kind"] == "done"


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
