from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import catalogue, open_store, prepared, rows, run, text
from prunebench.api.events import Event
from prunebench.engine.executors.api import Resources, WorkerConfig
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.scheduler import Execution, InterruptedRunError, execute
from prunebench.runner.preparing import Prepared

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}


def site(store: Path) -> WorkerConfig:
    environment = dict(open_store(store).environment.fields)
    return WorkerConfig(str(store), ".", "cpu", 1, environment, "same", 60.0)


class Noting(InlineExecutor):
    """Notes what is submitted, in order."""

    def __init__(self, store: Path) -> None:
        super().__init__(site(store), catalogue())
        self.submitted: list[str] = []

    def submit(self, work: str, resources: Resources) -> str:
        self.submitted.append(json.loads(work)["key"])
        return super().submit(work, resources)


def carried_out(ready: Prepared, executor: InlineExecutor) -> Execution:
    return execute(ready.plan, ready.open_store(), executor, Resources())


def trains_ahead(ready: Prepared) -> dict[str, int]:
    """For each phase, the most training runs on a path from it to a result."""
    ahead: dict[str, int] = {}
    for key in reversed(list(ready.plan.wanted)):
        phase = ready.plan.phases[key]
        ahead[key] = ahead.get(key, 0) + (phase.kind == "train")
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


def test_of_what_can_start_the_longest_chain_goes_first(store_path: Path) -> None:
    ready = prepared(store_path, SHORT_AND_LONG)
    executor = Noting(store_path)
    carried_out(ready, executor)
    ahead, done = trains_ahead(ready), set[str]()
    assert sorted(executor.submitted) == sorted(ready.plan.wanted)
    for key in executor.submitted:
        could = [
            other
            for other in ready.plan.wanted
            if other not in done and all(parent.key in done for parent in ready.plan.phases[other].parents)
        ]
        assert ahead[key] == max(ahead[other] for other in could)
        done.add(key)
    assert len({ahead[key] for key in executor.submitted}) > 3


def test_nothing_starts_before_its_parents_are_stored(store_path: Path) -> None:
    ready, store = prepared(store_path, SHORT_AND_LONG), open_store(store_path)

    class Checks(Noting):
        def submit(self, work: str, resources: Resources) -> str:
            for parent in ready.plan.phases[json.loads(work)["key"]].parents:
                assert store.has(parent.address)
            return super().submit(work, resources)

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
    assert outcome.failed["bad, toy-net, toy-data, seed 0"] == "RuntimeError: this score always fails"


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
    assert all(execution.error_of(key) == "RuntimeError: this score always fails" for key in below)
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
    assert [dict(event.fields) for event in events if event.kind == "row"] == outcome.rows
    for event in events:
        json.dumps(dict(event.fields), allow_nan=False)
