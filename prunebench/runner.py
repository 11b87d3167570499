"""A file and a store -> a plan, a run, a leaderboard: what the commands have in common."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from prunebench import config
from prunebench.catalogue import Catalogue, Use, run_manager
from prunebench.config import Benchmark
from prunebench.engine.details import details_of
from prunebench.engine.environment import device_of, fingerprint, hardware
from prunebench.engine.executor import Executor, InlineExecutor, LocalExecutor, Resources, Site
from prunebench.engine.outputs import Outputs
from prunebench.engine.probe import StoreProbe
from prunebench.engine.results import rows_of
from prunebench.engine.scheduler import Execution, execute
from prunebench.errors import LostArtifact, PrunebenchError, StoreError
from prunebench.manifest import check_manifest, write_manifest
from prunebench.plan import Plan, Ref
from prunebench.planning import demanded, make_plan
from prunebench.store import Environment, Store
from prunebench.tolerance import RULES, rules_text, tolerance_of
from prunebench.types import Download, Event, Results

READ_AGAIN = 3
"""How often results may turn out to be corrupt and be made again before a run gives up."""


def default_store() -> Path:
    """`$PRUNEBENCH_STORE`, or a folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("PRUNEBENCH_STORE") or Path(platformdirs.user_cache_dir("prunebench")) / "store")


def data_root() -> Path:
    """`$PRUNEBENCH_DATA`, or a folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("PRUNEBENCH_DATA") or Path(platformdirs.user_cache_dir("prunebench")) / "data")


@dataclass(frozen=True)
class Options:
    """What the command line says beside the file."""

    file: Path
    profile: str | None = None
    seeds: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    store: Path | None = None
    reuse: Literal["same", "any"] = "same"
    also: tuple[Mapping[str, Any], ...] = ()
    """Components to report with beside the file's `report.also`, or in place of those of the same name."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A benchmark with its plan: nothing has trained yet."""

    options: Options
    benchmark: Benchmark
    plan: Plan
    root: Path
    store_path: Path

    def open_store(self) -> Store:
        """The store, under this machine's fingerprint (which takes an import of torch)."""
        execution = self.benchmark.execution
        environment = fingerprint(execution.device, execution.threads)
        return Store(self.store_path, environment=environment, reuse=self.options.reuse)


def prepare(options: Options, catalogue: Catalogue | None = None) -> Prepared:
    """Read the file and make its plan.

    Raises:
        ConfigError: with every error of the file.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    benchmark = config.load(
        options.file,
        catalogue,
        profile=options.profile,
        seeds=options.seeds,
        only=options.only,
        settings=options.settings,
    )
    for table in options.also:
        use = catalogue.use(table, slot="report", where="also")
        others = tuple(other for other in benchmark.also if other.name != use.name)
        benchmark = replace(benchmark, also=(*others, use))
    root, store_path = data_root(), options.store or default_store()
    probe = StoreProbe(Store(store_path, environment=Environment({"for": "planning"})), root)
    return Prepared(options, benchmark, make_plan(benchmark, probe), root, store_path)


@dataclass(frozen=True)
class Status:
    """How much work a plan is, and how much of it the store has."""

    trials: int
    phases: int
    phases_missing: int
    runs_naive: int
    runs_distinct: int
    runs_cached: int
    sample_steps: int
    """Training images still to be processed, counted with repetition: steps x batch over the runs that are missing."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "trials": self.trials,
            "phases": {"distinct": self.phases, "missing": self.phases_missing},
            "runs": {"naive": self.runs_naive, "distinct": self.runs_distinct, "cached": self.runs_cached},
            "sample_steps": self.sample_steps,
        }


def status(prepared: Prepared, store: Store) -> Status:
    """Compare a plan with a store."""
    plan = prepared.plan
    missing = demanded(dict(plan.phases), list(plan.sinks), lambda ref: store.has(ref.address))
    steps = 0
    runs_missing = 0
    for key, refs in missing.items():
        phase = plan.phases[key]
        if phase.kind == "train":
            runs_missing += 1
            steps += (max(ref.at or 0 for ref in refs) - phase.spec["start"]) * phase.spec["recipe"]["batch"]
    runs = len(plan.runs)
    return Status(
        trials=len(plan.trials),
        phases=len(plan.wanted),
        phases_missing=len(missing),
        runs_naive=plan.naive_runs,
        runs_distinct=runs,
        runs_cached=runs - runs_missing,
        sample_steps=steps,
    )


@dataclass
class Outcome:
    """What a run left behind."""

    rows: list[dict[str, Any]]
    details: list[dict[str, Any]]
    artifact: Callable[[str], Mapping[str, bytes]]
    execution: Execution
    status: Status
    provenance: dict[str, Any]
    failed: dict[str, str] = field(default_factory=dict)
    """Trials that failed, "ENTRY, seed N", with the error."""


def run(
    prepared: Prepared,
    observe: Callable[[Event], None] = lambda event: None,
    catalogue: Catalogue | None = None,
    before: Status | None = None,
) -> Outcome:
    """Make what is missing and read the results off.

    Args:
        before: the status of the plan, where the caller has just looked.
    Raises:
        StoreError: the store cannot be written, or its artifacts are damaged as fast as they are made.
        InterruptedRunError: on Ctrl-C; what was done is stored.
    """
    store = prepared.open_store()
    before = status(prepared, store) if before is None else before
    trackers = run_manager(prepared.benchmark.track)

    def tell(event: Event) -> None:
        trackers.hook.prunebench_track(event=event)
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
        tell(Event("row", row))
    failed = _failed_trials(prepared.plan, execution)
    provenance = _provenance(prepared, store, execution, before)
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


def write(prepared: Prepared, outcome: Outcome, out: Path) -> None:
    """Write the leaderboard, then let the file's own reports write beside it."""
    benchmark = prepared.benchmark
    outcome.provenance["report"] = {
        "name": benchmark.name,
        "claim": benchmark.claim,
        "metric": benchmark.report.metric,
        "against": benchmark.report.against,
        "alpha": benchmark.report.alpha,
        "axis": benchmark.report.axis,
        "at": list(benchmark.report.at),
        "notes": notes(prepared, outcome),
        "expectations": [expect.model_dump() for expect in benchmark.expect],
    }
    outcome.provenance["also"] = [use.to_json() for use in benchmark.also]
    results = Results(benchmark.name, outcome.rows, outcome.details, outcome.provenance, outcome.artifact)
    _write_told(out, results, benchmark.also)


def notes(prepared: Prepared, outcome: Outcome) -> list[str]:
    """What a reader must know before the first number: reductions, subsets, failures."""
    benchmark = prepared.benchmark
    found = []
    if benchmark.note:
        found.append(benchmark.note)
    if benchmark.profile is not None:
        found.append(f'Reduced: profile "{benchmark.profile}"; not comparable with results of the full file.')
    changed = [f"`--set {s}`" for s in prepared.options.settings]
    if prepared.options.only:
        changed.append("`--only " + " --only ".join(prepared.options.only) + "`")
    if changed:
        found.append("Changed on the command line: " + ", ".join(changed) + ".")
    found += sorted({f"{trial.data}: {trial.note}" for trial in prepared.plan.trials if trial.note})
    mixed = sum("environments" in row for row in outcome.rows)
    if mixed:
        found.append(
            f"Mixed environments (`--reuse any`): {mixed} of {len(outcome.rows)} rows rest on artifacts that were made "
            "elsewhere; each such row lists them."
        )
    found += [f"Failed: {trial}: {error}" for trial, error in outcome.failed.items()]
    return found


def _executor(prepared: Prepared, store: Store, catalogue: Catalogue | None) -> Executor:
    execution = prepared.benchmark.execution
    device = device_of(execution.device)
    site = Site(
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


def _provenance(prepared: Prepared, store: Store, execution: Execution, before: Status) -> dict[str, Any]:
    from prunebench import __version__

    benchmark = prepared.benchmark
    device = str(store.environment.fields["device"])
    machine = hardware() | {"device": device}
    return {
        "prunebench": __version__,
        "file": benchmark.file,
        "profile": benchmark.profile,
        "settings": list(prepared.options.settings),
        "seeds": list(benchmark.seeds),
        "entries": [entry.name for entry in benchmark.entries],
        "environment": dict(store.environment.fields),
        "hardware": machine,
        "wall_seconds": round(execution.seconds, 1),
        "finished": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "runs": {"naive": before.runs_naive, "distinct": before.runs_distinct, "cached": before.runs_cached},
        "steps": before.sample_steps,
        "components": {
            name: {
                "version": use.component.version,
                "distribution": use.provider.distribution,
                "paper": use.component.paper,
            }
            for name, use in benchmark.uses().items()
        },
    }


def report_again(folder: Path, metric: str | None = None, against: str | None = None) -> Results:
    """Write a leaderboard's tables and curves again from its results, which are returned.

    Raises:
        PrunebenchError: the folder is not a leaderboard, or its results were edited.
    """
    from prunebench.leaderboard import read_details, read_provenance, read_rows

    rows, provenance = read_rows(folder), read_provenance(folder)
    edited = [line for line in check_manifest(folder) if line.split()[0] in ("results.jsonl", "details.jsonl")]
    if edited:
        raise PrunebenchError(f"{folder}: {edited[0]}; a page is only written for results as they were recorded")
    results = Results(provenance["report"]["name"], rows, read_details(folder), provenance)
    return write_results(folder, results, metric, against)


def write_results(folder: Path, results: Results, metric: str | None = None, against: str | None = None) -> Results:
    """Write the leaderboard of results that were read from folders, ranked by what was recorded or by what is given."""
    told = results.provenance["report"]
    told = {**told, "metric": metric or told["metric"], "against": against or told["against"]}
    results = replace(results, provenance={**results.provenance, "report": told})
    catalogue = Catalogue.load()
    _write_told(folder, results, [catalogue.revive(use) for use in results.provenance["also"]])
    return results


def _write_told(folder: Path, results: Results, also: Sequence[Use]) -> None:
    from prunebench.leaderboard import write_leaderboard
    from prunebench.leaderboard.page import write_page
    from prunebench.leaderboard.tiers import verification_of

    told = results.provenance["report"]
    tolerance = tolerance_of(results.rows, results.details, told["metric"])
    rules = rules_text(tolerance, len(results.provenance["seeds"]), told["alpha"])
    more = {"tolerance": tolerance.to_json(), "verification": verification_of(folder, results.rows)}
    results = replace(results, provenance={**results.provenance, **more})
    write_leaderboard(folder, results)
    write_page(folder / "index.html", results)
    (folder / RULES).write_text(rules, encoding="utf-8", newline="\n")
    # Once for what is reported with the folder, and again for what reports leave in it.
    write_manifest(folder)
    run_manager(also).hook.prunebench_report(results=results, folder=folder)
    write_manifest(folder)


def downloads_of(name: str, catalogue: Catalogue | None = None, root: Path | None = None) -> list[Download]:
    """The publisher's files of a data set, with its default configuration.

    Raises:
        ConfigError: no such component, or one that is not a data set.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    use = catalogue.use(name, slot="data", where="data")
    found = run_manager([use]).hook.prunebench_downloads(root=data_root() if root is None else root)
    return list(found or ())
