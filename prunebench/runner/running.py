"""Carries a plan out and reads its results off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from prunebench.api.details import Detail
from prunebench.api.errors import LostArtifact, PrunebenchError, StoreError
from prunebench.api.events import Event
from prunebench.api.planning import Ref
from prunebench.api.provenance import Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.components.catalogue import Catalogue
from prunebench.engine.collector import without_collector
from prunebench.engine.executors.api import Capacity, Executor
from prunebench.engine.executors.places import computes_here
from prunebench.engine.homes import HomesStore, homes_of
from prunebench.engine.scheduler import Execution, execute
from prunebench.plan.trial import LeftOut, Plan
from prunebench.results.measured_details import details_of
from prunebench.results.measured_rows import rows_of
from prunebench.results.outputs import Outputs
from prunebench.runner.components import Complain, Trackers, on_standard_error
from prunebench.runner.following import Following
from prunebench.runner.preparing import Prepared
from prunebench.runner.provenance import notes, provenance_of
from prunebench.runner.work_left import Status, status
from prunebench.runner.workers import executor_of, resources_of
from prunebench.store.store import Record, Store

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
    """Trials that failed, "ENTRY, seed N", with the error; those whose method does not apply among them."""
    left_out: frozenset[str] = frozenset()
    """Of `failed`, what the plan knew beforehand: that a method does not apply to the network."""

    @property
    def broken(self) -> dict[str, str]:
        """What failed although the plan had it: a run that has some did not do what it was asked for."""
        return {trial: error for trial, error in self.failed.items() if trial not in self.left_out}

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
        catalogue: where components come from, in workers too; that of the benchmark by default.
        before: the status of the plan, where the caller has just looked.
        folder: the leaderboard's, below which the file's trackers may write. Without one they are not called.
        complain: told of each tracker that failed; the run goes on without it.
    Raises:
        StoreError: the store cannot be written, or its artifacts are damaged as fast as they are made.
        WorkerError: no worker gets going, or they could not find a component that the file names.
        InterruptedRunError: on Ctrl-C or SIGTERM; what was done is stored.
    """
    watching = () if folder is None else prepared.benchmark.watching
    trackers = None if folder is None or not watching else Trackers(watching, folder, complain)
    following = None if trackers is None else Following(prepared.plan, prepared.benchmark.name)

    def report(event: Event) -> None:
        # Time left is a guess of now, and no record of the run.
        if trackers is not None and following is not None and event.kind != "time-left":
            for told in following.told(event, making.store):
                trackers(told)
        observe(event)

    def read(outputs: Outputs) -> tuple[list[Row], list[Detail]]:
        with without_collector():
            return rows_of(prepared.plan, outputs), details_of(prepared.plan, outputs)

    with _Making(prepared, prepared.plan, catalogue, report) as making:
        store = making.store
        if before is None or making.capacity:  # the caller could not know where workers compute
            before = status(prepared, store)
        rows, details = making.until_read(read, None if before.phases_missing else before.records)
    before = replace(before, records={})  # they are as large as the rows
    for row in rows:
        report(Event("row", row.to_json()))
    execution = making.execution
    failed = _failed_trials(prepared.plan, execution)
    left_out = frozenset(map(_named, prepared.plan.left_out))
    said = notes(prepared, rows, {trial: error for trial, error in failed.items() if trial not in left_out})
    provenance = provenance_of(prepared, store, execution, before, said, making.capacity)

    def artifact(address: str) -> Mapping[str, bytes]:
        return store.get(address).files

    return Outcome(rows, details, artifact, execution, before, provenance, failed, left_out)


def make(
    prepared: Prepared,
    refs: Sequence[Ref],
    observe: Callable[[Event], None] = lambda event: None,
    catalogue: Catalogue | None = None,
) -> Store:
    """Make outputs of a plan that its results are not read off, such as trained weights; the store that has them.

    Raises:
        PrunebenchError: a phase failed.
        StoreError: the store cannot be written, or its artifacts are damaged as fast as they are made.
        InterruptedRunError: on Ctrl-C or SIGTERM; what was done is stored.
    """
    plan = replace(prepared.plan, trials=(), also=tuple(refs))
    with _Making(prepared, plan, catalogue, observe) as making:

        def read(outputs: Outputs) -> None:
            for error in making.execution.failed.values():
                raise PrunebenchError(error)
            for lost in outputs.lost(refs):
                raise lost

        making.until_read(read)
        return making.store


T = TypeVar("T")


class _Making:
    """Carries a plan out until its outputs can be read. Leaving its `with` block ends the workers.

    Attributes:
        store: that outputs are read from.
        capacity: the environments that workers compute in; empty where it is this process's own, in which case they
            are started once there is work for them.
    """

    def __init__(
        self, prepared: Prepared, plan: Plan, catalogue: Catalogue | None, observe: Callable[[Event], None]
    ) -> None:
        self._prepared, self._plan, self._observe = prepared, plan, observe
        self._catalogue = prepared.benchmark.catalogue if catalogue is None else catalogue
        self.execution = Execution()
        self.store = prepared.open_store()
        self.capacity: tuple[Capacity, ...] = ()
        self._homes: Mapping[str, str] = {}
        self._executor: Executor | None = None
        if not computes_here(prepared.benchmark.execution):
            try:
                self._settle()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self) -> _Making:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _settle(self) -> None:
        """Start the workers, which tell where they compute, and give each chain of the plan to one environment."""
        self.capacity = tuple(self._started().capacity())
        stores = {
            one.environment.id: Store(
                self._prepared.store_path, environment=one.environment, reuse=self._prepared.options.reuse
            )
            for one in self.capacity
        }
        main = self.capacity[0].environment.id
        self._homes = homes_of(self._plan, self.capacity, stores)
        self.store = stores[main] if len(stores) == 1 else HomesStore(self._plan, self._homes, stores, main)

    def _started(self) -> Executor:
        if self._executor is None:
            self._executor = executor_of(self._prepared, self.store, self._catalogue)
        return self._executor

    def until_read(self, read: Callable[[Outputs], T], there: Mapping[str, Record] | None = None) -> T:
        """What `read` returns. What it finds damaged is made again, with all else that is damaged.

        Args:
            there: where nothing is known to be missing, so that reading is tried first: what the store has just said of
                outputs, by address.
        """
        for attempt in range(READ_AGAIN + 1):
            if attempt or there is None:
                self._execute(self._started())
            outputs = Outputs(self.store, self.execution, None if attempt else there)
            try:
                return read(outputs)
            except LostArtifact as error:
                for lost in outputs.lost(self._plan.sinks) or [error]:
                    self._observe(Event("artifact-lost", {"address": lost.address, "error": str(lost)}))
        raise StoreError(
            f"{self._prepared.store_path}: artifacts are damaged as fast as they are made; is the disk sound?"
        )

    def _execute(self, executor: Executor) -> None:
        execution = self._prepared.benchmark.execution
        resources = resources_of(self._prepared, self._catalogue, self._homes.get)
        done = execute(self._plan, self.store, executor, resources, self._observe, execution.restarts)
        self.execution.done += done.done
        self.execution.seconds += done.seconds
        self.execution.failed, self.execution.skipped = done.failed, done.skipped


def _named(out: LeftOut) -> str:
    return f"{out.entry}, {out.model}, {out.data}"


def _failed_trials(plan: Plan, execution: Execution) -> dict[str, str]:
    failed = {_named(out): out.why for out in plan.left_out}
    for trial in plan.trials:
        keys = [e.run.key for e in trial.evaluations] + [ref.key for _, ref in trial.analyses]
        errors = [error for key in keys if (error := execution.error_of(key)) is not None]
        if errors:
            failed[f"{trial.entry}, {trial.model}, {trial.data}, seed {trial.seed}"] = errors[0]
    return failed
