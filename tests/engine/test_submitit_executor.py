"""Work in jobs, by submitit's local mode: the messages and the ends of jobs are those of Slurm, the queue is not.

The short form is what is refused. `tox -e cluster` has a run whose job is killed, and all laws of an executor.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import TESTS, prepared, run, text, worker_config
from prunebench import runner
from prunebench.api.errors import WorkerError
from prunebench.api.events import Event
from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.executors.hosts import HostsExecutor
from prunebench.engine.executors.local import ENDS
from prunebench.engine.executors.slurm_jobs import slurm_executor
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.testing import ExecutorContract

pytest.importorskip("submitit", reason='the extra prunebench[slurm] is not installed: pip install "prunebench[slurm]"')
long = pytest.mark.skipif("PRUNEBENCH_CLUSTER" not in os.environ, reason="jobs start slowly; tox -e cluster runs it")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

JOBS = {"execution": {"workers": 1, "checkpoint_seconds": 0.2, "executor": {"use": "submitit", "cluster": "local"}}}
LONG_RUN = {"train": {"horizon": "6000it"}, "measure": {"every": "1000it"}, "rounds": 1}


def local(config: WorkerConfig, folder: Path, jobs: int = 1) -> HostsExecutor:
    return slurm_executor(config, jobs, "local", folder, {}, 1e9, 300)


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@long
def test_a_run_whose_job_is_ended_gives_the_bytes_of_an_undisturbed_one(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunebench.runner import running

    undisturbed = text(run(tmp_path / "alone", LONG_RUN))
    started: list[HostsExecutor] = []
    real = running.executor_of

    def noted(*arguments: Any) -> Executor:
        executor = real(*arguments)
        assert isinstance(executor, HostsExecutor)
        started.append(executor)
        return executor

    monkeypatch.setattr(running, "executor_of", noted)
    events: list[Event] = []

    def observe(event: Event) -> None:
        if event.kind == "progress" and not any(e.kind == "progress" for e in events):
            link: Any = started[0]._hosts[0].link
            os.kill(link._job._process.pid, signal.SIGKILL)
        events.append(event)

    outcome = runner.run(prepared(store_path, LONG_RUN, JOBS), observe)
    assert outcome.failed == {}
    assert text(outcome) == undisturbed
    errors = [str(event.fields["error"]) for event in events if event.kind == "phase-restarted"]
    assert any("ended" in error and "its log is" in error for error in errors)
    assert not list(store_path.with_name("store-jobs").glob("*/0*"))


def test_without_slurm_it_says_so_before_anything_is_submitted(store_path: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="there is no Slurm here"):
        slurm_executor(worker_config(store_path), 1, "slurm", tmp_path / "jobs", {}, 1e9, 300)
    assert not (tmp_path / "jobs").exists()


def test_a_wrong_parameter_is_an_error_that_names_it(store_path: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"execution\.executor\.parameters: .*gpus_per_nodes"):
        slurm_executor(worker_config(store_path), 1, "local", tmp_path, {"gpus_per_nodes": 1}, 1e9, 300)


@long
def test_a_job_that_is_told_to_end_lets_its_work_checkpoint(store_path: Path, tmp_path: Path) -> None:
    from engine.toy_runs import Workshop

    workshop = Workshop(store_path, train={"horizon": "1000000it"})
    trained = workshop.chain.find(workshop.chain.dense, 1)
    workshop.make(workshop.chain.dense.weights)
    executor = local(worker_config(store_path), tmp_path / "jobs")
    try:
        executor.capacity()
        executor.submit(workshop.work(trained.end.key, frozenset([trained.end])), Resources())
        while not any(event["kind"] == "progress" for event in executor.events(1)):
            pass
        link: Any = executor._hosts[0].link
        os.kill(link._job._process.pid, signal.SIGTERM)
        ends: list[dict[str, Any]] = []
        while not ends:
            ends += [event for event in executor.events(1) if event["kind"] in (*ENDS, "died")]
        assert ends[0]["kind"] == "cancelled", ends
    finally:
        executor.shutdown()
    assert list((store_path / "scratch").iterdir())


@long
class TestSubmititExecutor(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "jobs"

    def start(self, config: WorkerConfig, catalogue: Catalogue) -> Executor:
        return local(config, self.folder, 2)
