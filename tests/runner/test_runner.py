from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine.toy_runs import INLINE, Trained, catalogue, prepared, run, text

from prunebench import runner
from prunebench.api.errors import ConfigError
from prunebench.api.events import Event
from prunebench.runner.downloads import downloads_of
from prunebench.runner.preparing import Options, data_root, default_store, prepare
from prunebench.runner.provenance import notes, recorded_path, without_places
from prunebench.runner.work_left import status

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_the_status_counts_what_is_shared_and_what_is_missing(store_path: Path) -> None:
    ready = prepared(store_path)
    before = status(ready, ready.open_store())
    # dense, and the judged tickets of rounds 1 and 2; the find runs are the same work.
    assert (before.trials, before.runs_naive, before.runs_distinct, before.runs_cached) == (2, 5, 3, 0)
    assert before.phases == before.phases_missing == 6
    assert before.sample_steps == 3 * 24 * 8
    run(store_path)
    after = status(ready, ready.open_store())
    assert (after.phases_missing, after.runs_cached, after.sample_steps) == (0, 3, 0)
    assert after.to_json()["runs"] == {"naive": 5, "distinct": 3, "cached": 3}


def test_the_status_counts_the_part_of_a_window_that_is_trained(store_path: Path) -> None:
    entry = [{"name": "late", **IMP, "schedule": {"use": "rewind", "to": "6it"}}]
    ready = prepared(store_path, entry=entry, entries=["late"], rounds=1)
    assert status(ready, ready.open_store()).sample_steps == (24 + 18) * 8


def test_a_lost_result_is_missing_and_the_rest_is_not(store_path: Path) -> None:
    run(store_path)
    ready = prepared(store_path)
    ready.open_store().drop_payload(ready.plan.trials[1].evaluations[-1].curve.address)
    found = status(ready, ready.open_store())
    assert (found.phases_missing, found.runs_cached) == (1, 2)


def test_preparing_trains_nothing_and_leaves_only_probes(store_path: Path) -> None:
    prepared(store_path)
    assert not (store_path / "objects").exists()
    assert len(list((store_path / "cache").iterdir())) == 4  # data, network, the first step without and with a score


def test_a_file_is_prepared_with_what_the_command_line_says(tmp_path: Path) -> None:
    from engine.toy_runs import FILE

    file = tmp_path / "toy.toml"
    file.write_text(FILE + "\n[profile.smoke]\nrounds = 1\n")
    options = Options(file, "smoke", (5, 6), ("imp",), ("train.horizon=16it",), tmp_path / "store")
    ready = prepare(options, catalogue())
    assert [(trial.entry, trial.seed) for trial in ready.plan.trials] == [("imp", 5), ("imp", 6)]
    assert {evaluation.run.stop for trial in ready.plan.trials for evaluation in trial.evaluations} == {16}
    outcome = runner.run(ready, catalogue=catalogue())
    assert outcome.provenance.profile == "smoke"
    assert outcome.provenance.settings == ("train.horizon=16it",)
    told = notes(ready, outcome.rows, outcome.failed)
    assert told == [
        'Reduced: profile "smoke"; not comparable with results of the full file.',
        "Changed on the command line: `--set train.horizon=16it`, `--only imp`.",
    ]


def test_notes_tell_of_failures_and_of_mixed_environments(store_path: Path) -> None:
    entry = [{"name": "bad", **IMP, "score": {"use": "odd-score", "kind": "raises"}}]
    failed = run(store_path, entry=entry)
    assert notes(prepared(store_path, entry=entry), failed.rows, failed.failed) == [
        "Failed: bad, toy-net, toy-data, seed 0: component odd-score (parts 1.0): prunebench_score failed: "
        "RuntimeError: this score always fails"
    ]
    run(store_path)
    changes = {"execution": {"threads": 2}}
    mixed = run(store_path, changes, reuse="any")
    (told,) = notes(prepared(store_path, changes, reuse="any"), mixed.rows, mixed.failed)
    assert told.startswith("Mixed environments (`--reuse any`): 30 of 30 rows")


def test_neither_the_user_nor_a_folder_of_the_machine_stands_in_what_is_published(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared(store_path, root=tmp_path / "data")
    home = tmp_path.parent / "somebody"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    text = f"no {ready.root}/cifar, {tmp_path}/x.toml, {store_path}/ab or {home}/.cache"
    assert without_places(text, ready) == "no DATA/cifar, ./x.toml, STORE/ab or ~/.cache"
    inside, outside = tmp_path / "benchmarks" / "mine.toml", tmp_path.parent / "mine.toml"
    assert recorded_path(str(inside)) == recorded_path("benchmarks/mine.toml") == "benchmarks/mine.toml"
    assert recorded_path(str(outside)) == recorded_path("../mine.toml") == "mine.toml"


def test_the_store_and_the_data_root_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "a"))
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "b"))
    assert (default_store(), data_root()) == (tmp_path / "a", tmp_path / "b")
    monkeypatch.delenv("PRUNEBENCH_STORE")
    monkeypatch.delenv("PRUNEBENCH_DATA")
    assert default_store().parent == data_root().parent


def test_by_default_a_run_has_a_worker_for_each_core(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench.engine.executors.local import LocalExecutor
    from prunebench.runner.workers import executor_of

    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(6)))
    ready = prepared(store_path, {"execution": {"threads": 2}})
    benchmark = ready.benchmark
    execution = benchmark.execution.model_copy(update={"workers": None})
    object.__setattr__(benchmark, "execution", execution)
    executor = executor_of(ready, ready.open_store(), catalogue())
    assert isinstance(executor, LocalExecutor)
    assert len(executor._slots) == 3


def test_a_run_of_one_entry_is_enough_for_a_run_of_all_to_go_on_from(store_path: Path) -> None:
    run(store_path, entries=["dense"])
    trained = Trained()
    whole = run(store_path, observe=trained)
    assert len(trained.keys) == 3  # the dense run's end is wanted now, so that run goes through once more
    assert text(whole) == text(run(store_path))


def test_trackers_see_the_events_of_a_run(store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.parts import Watch

    monkeypatch.setattr(Watch, "events", [])
    seen: list[Event] = []
    watched = {"execution": {**INLINE["execution"], "track": [{"use": "watch"}]}}
    run(store_path, watched)
    assert Watch.events == []  # without a folder there is no place for a tracker to write
    run(store_path, watched, observe=seen.append, folder=tmp_path)
    # Trackers are told of the trials, too, that each event serves.
    told, observed = ([(one.kind, {**one.fields, "trials": None}) for one in events] for events in (Watch.events, seen))
    assert told == observed
    assert {event.kind for event in seen} >= {"row"}


def test_a_run_leaves_the_callers_random_generators_of_measuring_alone(store_path: Path) -> None:
    run(store_path)
    before = torch.get_rng_state()
    run(store_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_downloads_are_those_of_a_data_component(tmp_path: Path) -> None:
    found = downloads_of("mnist", root=tmp_path)
    assert len(found) == 4
    assert all(download.path.is_relative_to(tmp_path) and download.urls and download.checksum for download in found)
    assert downloads_of("from-file", catalogue(), tmp_path) == []
    with pytest.raises(ConfigError, match="magnitude"):
        downloads_of("magnitude")
    with pytest.raises(ConfigError, match=r'no component "mnits"\. Did you mean'):
        downloads_of("mnits")
