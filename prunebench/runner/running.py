"""Carries a plan out and reads its results off."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from prunebench.api.details import Detail
from prunebench.api.errors import LostArtifact, PrunebenchError, StoreError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.api.provenance import Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.components.catalogue import Catalogue
from prunebench.engine.environment import device_of
from prunebench.engine.executors.api import Executor, Resources, WorkerConfig
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.scheduler import Execution, execute
from prunebench.plan.trial import Plan
from prunebench.results.measured_details import details_of
from prunebench.results.measured_rows import rows_of
from prunebench.results.outputs import Outputs
from prunebench.runner.components import Complain, Trackers, on_standard_error
from prunebench.runner.preparing import Prepared
from prunebench.runner.provenance import notes, provenance_of
from prunebench.runner.work_left import Status, status
from prunebench.store.store import Store

READ_AGAIN = 3
"""How often results may turn out to be corrupt and be made again before a run gives up."""


@dataclass
class Outcome:
    """What a run left behind."""

    rows: list[Row]
    details: list[Detail]
    artifact: Callable[[str], Mapping[str, bytes]]
    execution: Execution
    status: Status
    provenance: Provenance
    failed: dict[str, str] = field(default_factory=dict)
    """Trials that failed, "ENTRY, seed N", with the error."""

    @property
    def results(self) -> Results:
        """What reports write from."""
        return Results(self.provenance.report.name, self.rows, self.details, self.provenance, self.artifact)


def run(
    prepared: Prepared,
    observe: Callable[[Event], None] = lambda event: None,
    catalogue: Catalogue | None = None,
    before: Status | None = None,
    folder: Path | None = None,
    complain: Complain = on_standard_error,
) -> Outcome:
    """Make what is missing and read the results off.

    Args:
        before: the status of the plan, where the caller has just looked.
        folder: the leaderboard's, below which the file's trackers may write. Without one they are not called.
        complain: told of each tracker that failed; the run goes on without it.
    Raises:
        StoreError: the store cannot be written, or its artifacts are damaged as fast as they are made.
        InterruptedRunError: on Ctrl-C; what was done is stored.
    """
    store = prepared.open_store()
    before = status(prepared, store) if before is None else before
    trackers = None if folder is None else Trackers(prepared.benchmark.track, folder, complain)

    def tell(event: Event) -> None:
        if trackers is not None:
            trackers(event)
        observe(event)

    execution = Execution()
    executor: Executor | None = None
    try:
        for attempt in range(READ_AGAIN + 1):
            if before.phases_missing or attempt:
                executor = executor or _executor(prepared, store, catalogue)
                done = execute(prepared.plan, store, executor, _resources(prepared), tell)
                execution.done += done.done
                execution.seconds += done.seconds
                execution.failed, execution.skipped = done.failed, done.skipped
            try:
                outputs = Outputs(store, execution)
                rows, details = rows_of(prepared.plan, outputs), details_of(prepared.plan, outputs)
                break
            except LostArtifact as error:
                tell(Event("artifact-lost", {"address": error.address, "error": str(error)}))
        else:
            raise StoreError(
                f"{prepared.store_path}: artifacts are damaged as fast as they are made; is the disk sound?"
            )
    finally:
        if executor is not None:
            executor.shutdown()
    for row in rows:
        tell(Event("row", row.to_json()))
    failed = _failed_trials(prepared.plan, execution)
    provenance = provenance_of(prepared, store, execution, before, notes(prepared, rows, failed))
    return Outcome(rows, details, lambda address: store.get(address).files, execution, before, provenance, failed)


def make(
    prepared: Prepared,
    refs: Sequence[Ref],
    observe: Callable[[Event], None] = lambda event: None,
    catalogue: Catalogue | None = None,
) -> Store:
    """Make outputs of a plan that its results are not read off, such as trained weights; the store that has them.

    Raises:
        PrunebenchError: a phase failed.
        InterruptedRunError: on Ctrl-C; what was done is stored.
    """
    store = prepared.open_store()
    plan = replace(prepared.plan, trials=(), also=tuple(refs))
    executor = _executor(prepared, store, catalogue)
    try:
        done = execute(plan, store, executor, _resources(prepared), observe)
    finally:
        executor.shutdown()
    for error in done.failed.values():
        raise PrunebenchError(error)
    return store


def _executor(prepared: Prepared, store: Store, catalogue: Catalogue | None) -> Executor:
    execution = prepared.benchmark.execution
    device = device_of(execution.device)
    site = WorkerConfig(
        store=str(prepared.store_path),
        data_root=str(prepared.root),
        device=device,
        threads=execution.threads,
        environment=dict(store.environment.fields),
        reuse=prepared.options.reuse,
        checkpoint_seconds=execution.checkpoint_seconds,
    )
    workers = execution.workers
    if workers is None:
        cores = len(os.sched_getaffinity(0))
        workers = 1 if device != "cpu" else max(1, cores // execution.threads)
    return InlineExecutor(site, catalogue) if workers == 0 else LocalExecutor(site, workers)


def _resources(prepared: Prepared) -> Resources:
    execution = prepared.benchmark.execution
    return Resources(device_of(execution.device), execution.threads)


def _failed_trials(plan: Plan, execution: Execution) -> dict[str, str]:
    failed = {f"{out.entry}, {out.model}, {out.data}": out.why for out in plan.left_out}
    for trial in plan.trials:
        keys = [e.run.key for e in trial.evaluations] + [ref.key for _, ref in trial.analyses]
        errors = [error for key in keys if (error := execution.error_of(key)) is not None]
        if errors:
            failed[f"{trial.entry}, {trial.model}, {trial.data}, seed {trial.seed}"] = errors[0]
    return failed
