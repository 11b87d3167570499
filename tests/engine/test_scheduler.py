from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bare_phases import bare_phase
from engine.toy_runs import catalogue, open_store, prepared, rows, run, text, worker_config
from prunebench.api.errors import InterruptedRunError, StoreError, WorkerError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.missing import samples
from prunebench.engine.scheduler import LOSSES, RESTARTS, Execution, execute
from prunebench.engine.work import Work
from prunebench.plan.demand import demanded
from prunebench.plan.phases import Phase
from prunebench.plan.trial import Plan
from prunebench.runner.preparing import Prepared
from prunebench.store.environment import Environment
from prunebench.store.store import Store

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}


class Noting(InlineExecutor):
    """Notes what is submitted, in order."""

    def __init__(self, store: Path) -> None:
        super().__init__(worker_config(store), catalogue())
        self.submitted: list[str] = []

    def submit(self, work: Work, resources: Resources) -> None:
        self.submitted.append(work.key)
        super().submit(work, resources)


def carried_out(ready: Prepared, executor: InlineExecutor) -> Execution:
    return execute(ready.plan, ready.open_store(), executor)


def work_ahead(ready: Prepared) -> dict[str, int]:
    """For each phase, the most work on a path from it to a result."""
    ahead: dict[str, int] = {}
    for key, outputs in reversed(list(ready.plan.wanted.items())):
        phase = ready.plan.phases[key]
        ahead[key] = ahead.get(key, 0) + (samples(phase, outputs) or 1)
        for parent in phase.parents:
            ahead[parent.key] = max(ahead.get(parent.key, 0), ahead[key])
    return ahead


SHORT_AND_LONG = {
    "rounds": 3,
    "seeds": [0, 1],
    "entry": [
        {"name": "short", "units": "toy-units", "train": {"batch": 16}},
        {"name": "long", **IMP},
        {"name": "one-shot", **IMP, "schedule": "one-shot", "train": {"batch": 12}},
    ],
}


def test_of_what_can_start_the_one_with_the_most_work_behind_it_goes_first(store_path: Path) -> None:
    ready = prepared(store_path, SHORT_AND_LONG)
    executor = Noting(store_path)
    carried_out(ready, executor)
    ahead, done = work_ahead(ready), set[str]()
    planned = {key: place for place, key in enumerate(ready.plan.phases)}
    assert sorted(executor.submitted) == sorted(ready.plan.wanted)
    for key in executor.submitted:
        could = [
            other
            for other in ready.plan.wanted
            if other not in done and all(parent.key in done for parent in ready.plan.phases[other].parents)
        ]
        # Of equal ones the first that was planned.
        assert key == max(could, key=lambda other: (ahead[other], -planned[other]))
        done.add(key)
    assert len({ahead[key] for key in executor.submitted}) > 3


def test_what_must_be_alone_never_has_anything_beside_it(store_path: Path) -> None:
    ready = prepared(store_path, SHORT_AND_LONG)
    alone = set(sorted(ready.plan.wanted)[::3])

    class Wide(Noting):
        """Takes four pieces of work at a time."""

        def __init__(self, store: Path) -> None:
            super().__init__(store)
            self.held: list[tuple[Work, Resources]] = []
            self.most = 0

        def has_room(self, resources: Resources) -> bool:
            return len(self.held) < 4

        def submit(self, work: Work, resources: Resources) -> None:
            beside = [*self.held, (work, resources)]
            assert len(beside) == 1 or not any(needed.alone for _, needed in beside)
            self.held = beside
            self.most = max(self.most, len(beside))

        def events(self, timeout: float) -> list[dict[str, Any]]:
            if self.held:
                super().submit(*self.held.pop(0))
            return super().events(timeout)

    executor = Wide(store_path)
    done = execute(ready.plan, ready.open_store(), executor, lambda phase: Resources(alone=phase.key in alone))
    assert done.done == len(ready.plan.wanted)
    assert executor.most > 1


def test_nothing_starts_before_its_parents_are_stored(store_path: Path) -> None:
    ready, store = prepared(store_path, SHORT_AND_LONG), open_store(store_path)

    class Checks(Noting):
        def submit(self, work: Work, resources: Resources) -> None:
            for parent in ready.plan.phases[work.key].parents:
                assert store.has(parent.address)
            super().submit(work, resources)

    carried_out(ready, Checks(store_path))


def test_only_what_the_results_rest_on_is_made(store_path: Path) -> None:
    ready = prepared(store_path)
    run(store_path)
    wanted = {ref.address for refs in ready.plan.wanted.values() for ref in refs}
    assert {address for address, _ in open_store(store_path).scan()} == wanted


def test_a_run_that_has_everything_does_nothing(store_path: Path) -> None:
    run(store_path)
    executor = Noting(store_path)
    assert carried_out(prepared(store_path), executor).done == 0
    assert executor.submitted == []


def test_another_entry_of_the_same_recipe_costs_nothing(store_path: Path) -> None:
    entries = [{"name": "dense", "units": "toy-units"}, {"name": "imp", **IMP}]
    run(store_path, {"entry": entries})
    again = run(store_path, {"entry": [*entries, {"name": "again", **IMP}]})
    assert again.execution.done == 0
    assert [row["value"] for row in rows(again, entry="again")] == [row["value"] for row in rows(again, entry="imp")]


# Failure.

FAILURE = "component odd-score (parts 1.0): prunebench_score failed: RuntimeError: this score always fails"
FAILS = {
    "rounds": 3,
    "entry": [
        {"name": "dense", "units": "toy-units"},
        {
            "name": "bad",
            **IMP,
            "score": {"use": "odd-score", "kind": "raises", "round": 2},
            "analyse": ["layer-densities"],
        },
        {"name": "imp", **IMP, "train": {"batch": 12}},
    ],
}


def test_the_failure_of_one_trial_leaves_the_others(store_path: Path, tmp_path: Path) -> None:
    outcome = run(store_path, FAILS)
    alone = run(tmp_path / "alone", FAILS, entries=["dense", "imp"])
    for entry in ("dense", "imp"):
        assert rows(outcome, entry=entry) == rows(alone, entry=entry)
    assert list(outcome.failed) == ["bad, toy-net, toy-data, seed 0"]
    assert outcome.failed["bad, toy-net, toy-data, seed 0"] == FAILURE


def test_a_failed_trial_has_rows_for_what_it_has_and_for_what_it_lacks(store_path: Path) -> None:
    outcome = run(store_path, FAILS)
    bad = rows(outcome, entry="bad")
    assert {(row["round"], row["outcome"]) for row in bad} == {
        (1, "ok"),
        (2, "failed"),
        (3, "failed"),
        (None, "failed"),
    }
    assert {row["value"] for row in bad if row["outcome"] == "failed"} == {None}
    assert {row["density"] for row in bad if row["round"] == 2} == {42 / 66}


def test_what_rests_on_a_failed_phase_is_skipped_and_names_it(store_path: Path) -> None:
    ready = prepared(store_path, FAILS)
    execution = carried_out(ready, Noting(store_path))
    (failed,) = execution.failed
    phase = ready.plan.phases[failed]
    assert (phase.kind, phase.spec.streams.round) == ("prune", 2)
    below: set[str] = {failed}
    for key in ready.plan.wanted:
        if any(parent.key in below for parent in ready.plan.phases[key].parents):
            below.add(key)
    assert set(execution.skipped) == below - {failed}
    assert set(execution.skipped.values()) == {failed}
    assert len(execution.skipped) == 4
    assert all(execution.error_of(key) == FAILURE for key in below)
    assert execution.done == len(ready.plan.wanted) - len(below)


def test_a_failed_trial_is_tried_again_the_next_time(store_path: Path) -> None:
    first = run(store_path, FAILS)
    events: list[Event] = []
    again = run(store_path, FAILS, observe=events.append)
    assert text(again) == text(first)
    assert again.failed == first.failed
    assert [event.fields["error"] for event in events if event.kind == "phase-failed"] == list(first.failed.values())
    assert "always fails" in next(event.fields["traceback"] for event in events if event.kind == "phase-failed")


def test_trials_fail_for_each_seed_and_are_named_with_it(store_path: Path) -> None:
    outcome = run(store_path, FAILS, seeds=[3, 5])
    assert list(outcome.failed) == [f"bad, toy-net, toy-data, seed {seed}" for seed in (3, 5)]


# Interruption.


def test_an_interrupt_ends_the_run_and_the_next_one_finishes_it(store_path: Path, undisturbed: bytes) -> None:
    for after in (1, 2, 1):
        seen: list[str] = []

        def interrupt(event: Event, after: int = after, seen: list[str] = seen) -> None:
            seen.append(event.kind)
            if seen.count("phase-done") == after:
                raise KeyboardInterrupt

        with pytest.raises(InterruptedRunError) as stopped:
            run(store_path, observe=interrupt)
        assert 0 < stopped.value.done < stopped.value.total
    assert text(run(store_path)) == undisturbed


def test_an_interrupt_in_the_middle_of_a_piece_of_work_is_over_at_once(
    store_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunebench.engine.loop import Training

    advance, calls = Training.advance, []

    def interrupted(self: Training, *args: Any) -> None:
        calls.append(self.position)
        if len(calls) == 2:
            raise KeyboardInterrupt
        advance(self, *args)

    # No time is measured: waiting for an answer that cannot come would run out this clock.
    monkeypatch.setattr("prunebench.engine.scheduler.PATIENCE", 1e9)
    monkeypatch.setattr(Training, "advance", interrupted)
    with pytest.raises(InterruptedRunError):
        run(store_path)
    assert text(run(store_path)) == undisturbed


def test_events_tell_the_whole_story(store_path: Path) -> None:
    events: list[Event] = []
    outcome = run(store_path, observe=events.append)
    kinds = [event.kind for event in events]
    phases = len(prepared(store_path).plan.wanted)
    assert kinds[0] == "run-started"
    assert events[0].fields == {"phases": phases, "runs": 3}
    assert kinds.count("phase-started") == kinds.count("phase-done") == phases
    assert kinds.count("row") == len(outcome.rows)
    assert kinds[-len(outcome.rows) - 1] == "run-finished"
    assert [dict(event.fields) for event in events if event.kind == "row"] == [row.to_json() for row in outcome.rows]
    for event in events:
        json.dumps(dict(event.fields), allow_nan=False)


# Whatever becomes of work: scripted, without a store or a process.


class FakeStore:
    """Addresses that are there."""

    environment = Environment({})

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.cached: dict[str, Any] = {}

    def cached_json(self, name: str) -> Any:
        return self.cached.get(name)

    def put_json(self, name: str, value: Any) -> None:
        self.cached[name] = value

    def has(self, address: str) -> bool:
        return address in self.addresses

    def have(self, addresses: Iterable[str]) -> set[str]:
        return self.addresses.intersection(addresses)


class Scripted:
    """Ends each piece of work as a script says, and what the script does not say, well."""

    def __init__(self, plan: Plan, store: FakeStore, script: Mapping[str, list[str]], slots: int = 2) -> None:
        self.plan, self.store, self.slots = plan, store, slots
        self.script = {key: list(steps) for key, steps in script.items()}
        self.running: list[Work] = []
        self.done: list[str] = []
        self.tries: Counter[str] = Counter()
        self.cancelled: list[str] = []

    def capacity(self) -> list[Capacity]:
        return [Capacity(Environment({}), self.slots)]

    def has_room(self, resources: Resources) -> bool:
        return len(self.running) < self.slots

    def submit(self, work: Work, resources: Resources) -> None:
        assert self.has_room(resources)
        assert all(work.key != other.key for other in self.running)
        self.tries[work.key] += 1
        self.running.append(work)

    def events(self, timeout: float) -> list[dict[str, Any]]:
        if not self.running:
            time.sleep(0.001)
            return []
        work = self.running.pop(0)
        return [{"kind": "started", "key": work.key}, {**self.ended(work), "key": work.key}]

    def ended(self, work: Work) -> dict[str, Any]:
        steps = self.script.get(work.key, [])
        step = steps.pop(0) if steps else "done"
        parents = sorted({*work.parents})
        if step == "lost" and parents:
            self.store.addresses.difference_update(parents[: 1 + len(steps) % len(parents)])
        gone = [address for address in parents if address not in self.store.addresses]
        if gone:
            return {"kind": "lost", "addresses": gone, "error": "gone"}
        if step == "failed":
            return {"kind": "failed", "error": f"{work.key} failed"}
        if step == "died":
            return {"kind": "died", "error": "signal 9", "began": True}
        if step == "busy":
            return {"kind": "busy", "holder": None}
        self.store.addresses.update(ref.address for ref in work.outputs)
        self.done.append(work.key)
        return {"kind": "done", "seconds": 0.0}

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)

    def shutdown(self) -> None:
        pass


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Phases with two outputs each, of which others need some; all ends are wanted."""
    phases: dict[str, Phase] = {}
    refs: list[Ref] = []
    for index in range(draw(st.integers(1, 14))):
        parents = draw(st.lists(st.sampled_from(refs), max_size=4, unique=True)) if refs else []
        key = f"{index:064x}"
        phases[key] = bare_phase(key, parents=parents)
        refs += [Ref(key, "weights"), Ref(key, "mask")]
    wanted = draw(st.lists(st.sampled_from(refs), min_size=1, unique=True))
    return Plan(phases, (), {}, {}, 0, also=tuple(wanted))


STEPS = st.lists(st.sampled_from(["done", "failed", "died", "busy", "lost"]), max_size=3)


@settings(deadline=None, max_examples=300)
@given(plans(), st.dictionaries(st.integers(0, 13).map(lambda i: f"{i:064x}"), STEPS), st.integers(1, 3))
def test_all_that_can_be_done_is_done_whatever_becomes_of_the_rest(
    plan: Plan, script: dict[str, list[str]], slots: int
) -> None:
    store = FakeStore()
    executor = Scripted(plan, store, script, slots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prunebench.engine.scheduler.BUSY_SECONDS", (0.0, 0.0))
        done = execute(plan, cast(Store, store), executor)
    needed = set(demanded(dict(plan.phases), list(plan.sinks)))
    # Each phase that is needed has one end: it was done, it failed, or something that it rests on did.
    made = {key for key in needed if key not in done.failed and key not in done.skipped}
    assert made | set(done.failed) | set(done.skipped) == needed
    assert not set(done.failed) & set(done.skipped)
    assert executor.tries.keys() <= needed
    for key in made:
        assert key in executor.done
    for key, why in done.skipped.items():
        assert why in done.failed
        assert why in _ancestors(plan, key)
    for key in done.failed:
        steps = script.get(key, [])
        assert "failed" in steps or steps.count("died") > RESTARTS or executor.tries[key] > LOSSES
    # What was lost after it had been made, and that nothing else needed, is for whoever reads it to notice.
    if not any("lost" in steps for steps in script.values()):
        assert all(store.has(ref.address) == (ref.key in made) for ref in plan.sinks)
    assert done.error_of("nobody") is None


@settings(deadline=None)
@given(plans(), st.integers(1, 3))
def test_where_nothing_goes_wrong_each_phase_is_worked_on_once(plan: Plan, slots: int) -> None:
    executor = Scripted(plan, FakeStore(), {}, slots)
    done = execute(plan, cast(Store, executor.store), executor)
    needed = demanded(dict(plan.phases), list(plan.sinks))
    assert executor.tries == Counter(needed.keys())
    assert done.done == len(needed)


def _ancestors(plan: Plan, key: str) -> set[str]:
    found, stack = set[str](), [key]
    while stack:
        for parent in plan.phases[stack.pop()].parents:
            if parent.key not in found:
                found.add(parent.key)
                stack.append(parent.key)
    return found


def chain_plan(length: int = 3, width: int = 1) -> Plan:
    """Phases of which each needs all of the one before; the last has `width` parents."""
    phases: dict[str, Phase] = {}
    roots = [f"{index:064x}" for index in range(width)]
    for key in roots:
        phases[key] = bare_phase(key)
    last = [Ref(key, "weights") for key in roots]
    for index in range(width, width + length - 1):
        key = f"{index:064x}"
        phases[key] = bare_phase(key, parents=last)
        last = [Ref(key, "weights")]
    return Plan(phases, (), {}, {}, 0, also=tuple(last))


class Seen:
    """The events of a run."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.fields) for event in self.events if event.kind == kind]


def test_an_output_that_is_not_needed_for_a_phase_does_not_hold_it_up() -> None:
    # The first phase failed to make one of its outputs; the other was in the store, and is all that the second needs.
    first, second = "0" * 64, "1" * 64
    phases = {
        first: bare_phase(first),
        second: bare_phase(second, parents=(Ref(first, "weights"),)),
    }
    plan = Plan(phases, (), {}, {}, 0, also=(Ref(second, "weights"), Ref(first, "mask")))
    store = FakeStore()
    store.addresses.add(Ref(first, "weights").address)
    executor = Scripted(plan, store, {first: ["failed"]})
    done = execute(plan, cast(Store, store), executor)
    assert (list(done.failed), done.skipped, executor.done) == ([first], {}, [second])


def test_a_phase_that_loses_many_parents_is_made_once_all_are_there_again() -> None:
    plan = chain_plan(2, width=12)
    store = FakeStore()
    last = f"{12:064x}"
    executor = Scripted(plan, store, {last: ["lost"] * 2})
    seen = Seen()
    done = execute(plan, cast(Store, store), executor, observe=seen)
    assert done.failed == {}
    assert executor.tries[last] == 3
    assert len(seen.of("artifact-lost")) == 2 + 1  # two parents the first time, one the second


def test_a_phase_that_loses_its_parents_again_and_again_fails() -> None:
    plan = chain_plan(2)
    done = execute(plan, cast(Store, store := FakeStore()), Scripted(plan, store, {f"{1:064x}": ["lost"] * 99}))
    assert done.failed == {f"{1:064x}": "gone"}


def test_what_needs_a_lost_output_of_a_phase_that_fails_now_is_skipped() -> None:
    plan = chain_plan(3)
    first, second, third = (f"{i:064x}" for i in range(3))
    executor = Scripted(plan, FakeStore(), {first: ["done", "failed"], second: ["lost"]})
    done = execute(plan, cast(Store, executor.store), executor)
    assert done.failed == {first: f"{first} failed"}
    assert done.skipped == {second: first, third: first}


def test_work_that_another_process_has_is_reported_after_a_while_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prunebench.engine.scheduler.WAITING_SECONDS", 0.05)
    monkeypatch.setattr("prunebench.engine.scheduler.BUSY_SECONDS", (0.01, 0.02))
    plan, seen = chain_plan(1), Seen()
    executor = Scripted(plan, FakeStore(), {f"{0:064x}": ["busy"] * 20})
    done = execute(plan, cast(Store, executor.store), executor, observe=seen)
    assert done.done == 1
    reports = seen.of("phase-waiting")
    assert 1 <= len(reports) < 10
    assert all(report["seconds"] >= 0.05 for report in reports)


def test_work_that_another_process_has_for_a_moment_is_not_reported() -> None:
    plan, seen = chain_plan(1), Seen()
    executor = Scripted(plan, FakeStore(), {f"{0:064x}": ["busy"]})
    assert execute(plan, cast(Store, executor.store), executor, observe=seen).done == 1
    assert seen.of("phase-waiting") == []


@pytest.mark.parametrize(("deaths", "restarts", "failed"), [(2, 2, False), (3, 2, True), (1, 0, True), (5, 5, False)])
def test_work_whose_worker_died_starts_again_so_often(deaths: int, restarts: int, failed: bool) -> None:
    plan, seen = chain_plan(2), Seen()
    executor = Scripted(plan, FakeStore(), {f"{0:064x}": ["died"] * deaths})
    done = execute(plan, cast(Store, executor.store), executor, observe=seen, restarts=restarts)
    assert bool(done.failed) is failed
    assert len(seen.of("phase-restarted")) == min(deaths, restarts)
    if failed:
        (error,) = done.failed.values()
        assert error == ("signal 9" if not restarts else f"signal 9, {restarts + 1} times")


class Fruitless(Scripted):
    """Its first workers die before they come to any work."""

    def __init__(self, plan: Plan, deaths: int) -> None:
        super().__init__(plan, FakeStore(), {})
        self.deaths = deaths

    def events(self, timeout: float) -> list[dict[str, Any]]:
        if self.deaths and self.running:
            self.deaths -= 1
            return [{"kind": "died", "key": self.running.pop(0).key, "error": "signal 9", "began": False}]
        return super().events(timeout)


def test_a_worker_that_dies_before_it_is_ready_does_not_end_the_run() -> None:
    plan = chain_plan(4)
    executor = Fruitless(plan, 2)
    done = execute(plan, cast(Store, executor.store), executor, restarts=0)
    assert (done.done, done.failed) == (4, {})


def test_workers_that_never_get_going_end_the_run() -> None:
    plan = chain_plan(4)
    executor = Fruitless(plan, 99)
    with pytest.raises(WorkerError, match="signal 9, before it came to any work; so did 2 others before it"):
        execute(plan, cast(Store, executor.store), executor)


@pytest.mark.parametrize(("fatal", "error"), [("store", StoreError), ("worker", WorkerError)])
def test_a_fatal_failure_ends_the_run_as_what_it_is(fatal: str, error: type[Exception]) -> None:
    plan = chain_plan(2)

    class Fatal(Scripted):
        def ended(self, work: Work) -> dict[str, Any]:
            return {"kind": "failed", "error": "no more", "fatal": fatal}

    executor = Fatal(plan, FakeStore(), {})
    with pytest.raises(error, match="no more"):
        execute(plan, cast(Store, executor.store), executor)


def test_what_needs_nothing_of_a_full_device_is_not_held_up_by_it() -> None:
    keys = [f"{index:064x}" for index in range(4)]
    phases = {key: bare_phase(key, "analyse" if i < 2 else "edit") for i, key in enumerate(keys)}
    plan = Plan(phases, (), {}, {}, 0, also=tuple(Ref(key, "weights") for key in keys))

    class NoDevice(Scripted):
        open = False

        def has_room(self, resources: Resources) -> bool:
            return super().has_room(resources) and (self.open or not resources.device)

        def ended(self, work: Work) -> dict[str, Any]:
            self.open = len(self.done) >= 1
            return super().ended(work)

    executor = NoDevice(plan, FakeStore(), {}, slots=1)
    busy, idle = Resources(device=1.0), Resources(device=0.0)
    execute(plan, cast(Store, executor.store), executor, lambda phase: busy if phase.kind == "analyse" else idle)
    assert [key in keys[:2] for key in executor.done] == [False, False, True, True]
