# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""What holds for every executor, wherever it computes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prunebench.api.errors import WorkerError
from prunebench.api.planning import Ref
from prunebench.components.catalogue import Catalogue
from prunebench.engine.environment import fingerprint
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.executors.origins import origins_of
from prunebench.engine.executors.worker import TEXT_LENGTH, WorkerConfig
from prunebench.engine.phases import perform
from prunebench.engine.scheduler import execute
from prunebench.engine.work import Silent, Work
from prunebench.engine.workbench import Workbench
from prunebench.plan.compile import make_plan
from prunebench.plan.demand import demanded
from prunebench.plan.trial import Plan
from prunebench.store.store import Store
from prunebench.testing import faults, toy
from prunebench.testing.toy import ToyProbe, toy_benchmark, toy_catalogue

ANY = Resources()
ENDS = {"done", "failed", "lost", "busy", "cancelled", "died"}


class ExecutorContract:
    """Laws of an executor. Subclasses say how it is started.

    The components are toys that are not installed: workers find them by import, as a stranger's.
    """

    own_processes: ClassVar[bool] = True
    """Whether work is done in processes that may end without the caller's."""
    memory: ClassVar[int] = 2 * 2**30
    """Bytes that a worker may hold when a component leaks: more than a worker of the toys ever needs."""

    def start(self, config: WorkerConfig, catalogue: Catalogue) -> Executor:
        """The executor, with one worker or a few."""
        raise NotImplementedError

    @pytest.fixture
    def catalogue(self) -> Catalogue:
        """The toys and what is installed."""
        return toy_catalogue().with_components(faults.prunebench_components(), "faults 1.0")

    @pytest.fixture
    def config(self, tmp_path: Path, catalogue: Catalogue) -> WorkerConfig:
        """What the workers of a fresh store must know."""
        needed = {"toy-net": 1, "toy-data": 1, "toy-units": 1, "toy-fault": 1, "sgd": 1}
        environment = dict(fingerprint("cpu", 1).fields)
        origins = origins_of(catalogue, needed)
        return WorkerConfig(str(tmp_path / "store"), ".", "cpu", 1, "same", 60.0, environment, origins, needed)

    @pytest.fixture
    def executor(self, config: WorkerConfig, catalogue: Catalogue) -> Iterator[Executor]:
        """The executor on that store."""
        executor = self.start(config, catalogue)
        yield executor
        executor.shutdown()

    @pytest.fixture
    def store(self, config: WorkerConfig) -> Store:
        """The store, as this process sees it."""
        return Store(config.store, environment=fingerprint("cpu", 1))

    @pytest.fixture
    def bench(self, store: Store, catalogue: Catalogue) -> Workbench:
        """For making what a piece of work needs, in this process."""
        return Workbench(store, catalogue, Path(), "cpu")

    # Calls.

    def test_it_says_in_which_environments_it_computes_and_how_many_slots_there_are(self, executor: Executor) -> None:
        (capacity,) = executor.capacity()
        assert capacity.environment.id == fingerprint("cpu", 1).id
        assert capacity.slots >= 1
        assert executor.capacity() == executor.capacity()

    def test_work_of_an_environment_has_room_in_it_and_nowhere_else(self, executor: Executor) -> None:
        (capacity,) = executor.capacity()
        assert executor.has_room(Resources(environment=capacity.environment.id))
        assert not executor.has_room(Resources(environment="0" * 16)) or not self.own_processes

    def test_work_that_needs_no_device_is_done_too(self, executor: Executor, store: Store) -> None:
        plan = _plan()
        (ref,) = _outputs(plan, "init")
        _submit(executor, _work(plan, ref), Resources(device=0.0))
        assert _until_end(executor)[-1]["kind"] == "done"
        assert store.has(ref.address)

    def test_work_is_started_and_done_and_its_output_is_in_the_store(self, executor: Executor, store: Store) -> None:
        plan = _plan()
        (ref,) = _outputs(plan, "init")
        _submit(executor, _work(plan, ref))
        events = _until_end(executor)
        assert [event["kind"] for event in events] == ["started", "done"]
        assert {event["key"] for event in events} == {ref.key}
        assert events[-1]["seconds"] > 0
        assert store.get(ref.address).files
        assert executor.events(0) == []

    def test_there_is_room_until_all_workers_are_busy_and_again_when_they_are_done(self, executor: Executor) -> None:
        plan = _plan(seeds=list(range(20)))
        waiting = _outputs(plan, "init")
        running = 0
        while executor.has_room(Resources()) and waiting:
            executor.submit(_work(plan, waiting.pop()), Resources())
            running += 1
        assert waiting
        while running:
            running -= sum(event["kind"] == "done" for event in executor.events(1))
        assert executor.has_room(Resources())

    def test_a_plan_gives_the_same_artifacts_as_its_phases_one_by_one(
        self, executor: Executor, store: Store, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        plan = _plan()
        done = execute(plan, store, executor)
        assert done.failed == {}
        alone = Store(tmp_path / "alone", environment=fingerprint("cpu", 1))
        _make(plan, Workbench(alone, catalogue, Path(), "cpu"), *plan.sinks)
        for ref in plan.sinks:
            assert store.get(ref.address).digests == alone.get(ref.address).digests

    def test_events_are_json(self, executor: Executor, store: Store) -> None:
        events: list[Any] = []
        execute(_plan(kind="raises"), store, executor, observe=events.append)
        assert any(event.kind == "phase-failed" for event in events)
        for event in events:
            json.dumps(dict(event.fields), allow_nan=False)

    def test_it_may_be_shut_down_twice(self, executor: Executor) -> None:
        executor.shutdown()
        executor.shutdown()

    # Work that cannot be done now.

    def test_work_that_another_process_has_is_busy_and_says_who_has_it(self, executor: Executor, store: Store) -> None:
        plan = _plan()
        (ref,) = _outputs(plan, "init")
        with store.lease(ref.key) as lease:
            assert lease.try_acquire()
            _submit(executor, _work(plan, ref))
            event = _until_end(executor)[-1]
            assert event["kind"] == "busy"
            assert event["holder"]["pid"] == os.getpid()
        _submit(executor, _work(plan, ref))
        assert _until_end(executor)[-1]["kind"] == "done"

    def test_every_parent_that_is_gone_or_corrupt_is_named_at_once(
        self, executor: Executor, store: Store, bench: Workbench
    ) -> None:
        plan = _plan()
        trained = next(ref for ref in _outputs(plan, "train") if len(plan.phases[ref.key].parents) > 1)
        parents = plan.phases[trained.key].parents
        _make(plan, bench, *parents)
        for parent in parents:
            store.drop_payload(parent.address)
        _submit(executor, _work(plan, trained))
        event = _until_end(executor)[-1]
        assert event["kind"] == "lost"
        assert event["addresses"] == sorted({parent.address for parent in parents})

    def test_cancelled_work_goes_on_from_its_checkpoint_to_the_same_bytes(
        self, executor: Executor, store: Store, bench: Workbench, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        plan = _plan(horizon=3000)
        trained = next(ref for ref in _outputs(plan, "train") if ref.part == "weights")
        _make(plan, bench, *plan.phases[trained.key].parents)
        _submit(executor, _work(plan, trained))
        if self.own_processes:
            while not any(event["kind"] == "progress" for event in executor.events(1)):
                pass
        executor.cancel(trained.key)
        assert _until_end(executor)[-1]["kind"] == "cancelled"
        assert executor.has_room(Resources())
        assert not store.has(trained.address)
        _submit(executor, _work(plan, trained))
        assert _until_end(executor)[-1]["kind"] == "done"
        alone = Store(tmp_path / "alone", environment=fingerprint("cpu", 1))
        _make(plan, Workbench(alone, catalogue, Path(), "cpu"), trained)
        assert store.get(trained.address).digests == alone.get(trained.address).digests

    # Components that go wrong.

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("raises", "RuntimeError: this score always fails"),
            ("exits", "SystemExit: 0"),
            ("unspeakable", "UnspeakableError: (its text cannot be made"),
            ("lengthy", "RuntimeError: xxx"),
        ],
    )
    def test_what_a_component_raises_fails_its_work_and_the_next_is_done(
        self, executor: Executor, store: Store, kind: str, text: str
    ) -> None:
        plan = _plan(kind=kind)
        done = execute(plan, store, executor)
        (error,) = done.failed.values()
        assert text in error
        assert "component toy-fault" in error
        assert len(error) < 2 * TEXT_LENGTH
        assert done.done == sum(key not in {*done.failed, *done.skipped} for key in plan.wanted)

    def test_a_component_that_raises_keyboard_interrupt_is_not_ctrl_c(self, executor: Executor, store: Store) -> None:
        if not self.own_processes:
            pytest.skip("in the calling process nobody can tell them apart")
        done = execute(_plan(kind="interrupts"), store, executor)
        (error,) = done.failed.values()
        assert "component toy-fault" in error
        assert "KeyboardInterrupt" in error

    def test_global_state_that_a_component_leaves_reaches_no_other_work(
        self, executor: Executor, store: Store, tmp_path: Path, config: WorkerConfig, catalogue: Catalogue
    ) -> None:
        sound, left = _plan(), _plan(kind="leaves")
        execute(left, store, executor)
        execute(sound, store, executor)
        alone = Store(tmp_path / "alone", environment=fingerprint("cpu", 1))
        fresh = self.start(replace(config, store=str(tmp_path / "alone")), catalogue)
        try:
            execute(sound, alone, fresh)
        finally:
            fresh.shutdown()
        for ref in sound.sinks:
            assert store.get(ref.address).digests == alone.get(ref.address).digests

    # Workers that are not what they should be.

    def test_a_worker_with_another_version_of_a_component_refuses_by_name(
        self, config: WorkerConfig, catalogue: Catalogue
    ) -> None:
        if not self.own_processes:
            pytest.skip("the calling process has the components that it planned with")
        origins = tuple(replace(o, version=9) if o.name == "toy-net" else o for o in config.origins)
        error = self._refusal(replace(config, origins=origins), catalogue)
        assert 'component "toy-net" (prunebench.testing): prunebench.testing.toy offers version 1, not 9' in error

    def test_a_worker_without_a_component_refuses_by_name(self, config: WorkerConfig, catalogue: Catalogue) -> None:
        if not self.own_processes:
            pytest.skip("the calling process has the components that it planned with")
        origins = tuple(replace(o, module="no_such_module") if o.name == "toy-net" else o for o in config.origins)
        error = self._refusal(replace(config, origins=origins), catalogue)
        assert 'component "toy-net" (prunebench.testing): no_such_module cannot be imported' in error

    def test_a_worker_in_another_environment_refuses_and_says_what_differs(
        self, config: WorkerConfig, catalogue: Catalogue
    ) -> None:
        environment = {**config.environment, "torch": "0.1"}
        error = self._refusal(replace(config, environment=environment), catalogue)
        assert "computes in another environment" in error
        assert "torch is" in error
        assert "not '0.1'" in error

    def _refusal(self, config: WorkerConfig, catalogue: Catalogue) -> str:
        """Of the start, of whoever waits for a worker, or of the first work."""
        plan = _plan()
        executor = None
        try:
            executor = self.start(config, catalogue)
            _submit(executor, _work(plan, *_outputs(plan, "init")))
            event = _until_end(executor)[-1]
        except WorkerError as error:
            return str(error)
        finally:
            if executor is not None:
                executor.shutdown()
        assert (event["kind"], event["fatal"]) == ("failed", "worker")
        return str(event["error"])

    # Workers that end.

    @pytest.mark.parametrize(("kind", "how"), [("ends", "exit code 7"), ("killed", "signal 9")])
    def test_the_end_of_a_worker_is_an_event_and_the_next_work_is_done(
        self, executor: Executor, store: Store, bench: Workbench, kind: str, how: str
    ) -> None:
        if not self.own_processes:
            pytest.skip("it ends with its caller")
        plan = _plan(kind=kind)
        (mask,) = _outputs(plan, "prune")
        _make(plan, bench, *plan.phases[mask.key].parents)
        _submit(executor, _work(plan, mask))
        event = _until_end(executor)[-1]
        assert (event["kind"], event["key"], event["began"]) == ("died", mask.key, True)
        assert how in event["error"]
        other = _plan(seeds=[1])
        (ref,) = _outputs(other, "init")
        _submit(executor, _work(other, ref))
        assert _until_end(executor)[-1]["kind"] == "done"

    def test_work_whose_worker_ended_starts_again_a_bounded_number_of_times(
        self, executor: Executor, store: Store, tmp_path: Path
    ) -> None:
        if not self.own_processes:
            pytest.skip("it ends with its caller")
        log = tmp_path / "log"
        mended = execute(_plan(kind="killed", times=2, log=str(log)), store, executor, restarts=2)
        assert mended.failed == {}
        assert len(log.read_text().splitlines()) == 3
        log.unlink()
        failed = execute(_plan(kind="killed", times=9, log=str(log)), store, executor, restarts=1)
        (error,) = failed.failed.values()
        assert "signal 9" in error
        assert "2 times" in error
        assert len(log.read_text().splitlines()) == 2

    def test_a_component_that_leaks_ends_its_worker_and_nothing_else(self, executor: Executor, store: Store) -> None:
        if not self.own_processes:
            pytest.skip("it leaks into its caller")
        plan = _plan(kind="leaks")
        resources = Resources(memory=self.memory)
        done = execute(plan, store, executor, lambda phase: resources, restarts=0)
        (error,) = done.failed.values()
        assert f"{self.memory / 2**30:.1f} GiB that it may hold" in error
        assert done.done == sum(key not in {*done.failed, *done.skipped} for key in plan.wanted)


def _plan(kind: str = "none", times: int = 10**6, log: str = "", horizon: int = 24, **changes: Any) -> Plan:
    catalogue = toy_catalogue().with_components(faults.prunebench_components(), "faults 1.0")
    score = {"use": "toy-fault", "kind": kind, "times": times, "log": log}
    entry: Mapping[str, Any] = {**toy.TOY["entry"][1], "score": score}
    table = {"rounds": 1, "train": {"horizon": f"{horizon}it"}, "entry": [toy.TOY["entry"][0], entry], **changes}
    return make_plan(toy_benchmark(table, catalogue=catalogue), ToyProbe())


def _outputs(plan: Plan, kind: str) -> list[Ref]:
    """The outputs that are wanted of the phases of a kind."""
    refs = [ref for key, outputs in plan.wanted.items() if plan.phases[key].kind == kind for ref in outputs]
    return sorted(refs, key=lambda ref: ref.address)


def _work(plan: Plan, *refs: Ref) -> Work:
    return Work.of(plan, plan.phases[refs[0].key], frozenset(refs))


def _make(plan: Plan, bench: Workbench, *refs: Ref) -> None:
    for key, outputs in demanded(dict(plan.phases), list(refs), lambda ref: bench.store.has(ref.address)).items():
        perform(Work.of(plan, plan.phases[key], outputs), bench, Silent(), 1e9)


def _submit(executor: Executor, work: Work, resources: Resources = ANY) -> None:
    """Once there is room: where workers are on other machines, it takes a while until one is there."""
    while not executor.has_room(resources):
        executor.events(0.1)
    executor.submit(work, resources)


def _until_end(executor: Executor) -> list[dict[str, Any]]:
    """Events up to the end of the work."""
    events: list[dict[str, Any]] = []
    while not any(event["kind"] in ENDS for event in events):
        events += executor.events(1)
    return events
