"""What a run notes of itself: versions, machine and counts, and what its page is to say."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from prunebench.api.provenance import ComponentOrigin, MetricInfo, Provenance, ReportSettings, RunCounts
from prunebench.api.recipe import Recipe
from prunebench.api.rows import Row
from prunebench.api.task import all_metrics, primary
from prunebench.benchmark.entries import Benchmark, Entry
from prunebench.engine.executors.api import Capacity
from prunebench.engine.scheduler import Execution
from prunebench.kernels.hardware import hardware
from prunebench.runner.preparing import Prepared
from prunebench.runner.work_left import Status
from prunebench.store.credentials import scheme_of
from prunebench.store.store import Store


def provenance_of(
    prepared: Prepared,
    store: Store,
    execution: Execution,
    before: Status,
    notes: Sequence[str],
    capacity: Sequence[Capacity] = (),
) -> Provenance:
    """Where the numbers of a run come from.

    Args:
        before: the status of the plan before it was carried out.
        notes: what a reader must know before the first number, a sentence each.
        capacity: the environments that workers computed in, where they are not this process's own alone.
    """
    from prunebench.api.version import VERSION

    benchmark = prepared.benchmark
    fields = dict(store.environment.fields)
    own = capacity[0].hardware if capacity else None
    several = {one.environment.id: dict(one.environment.fields) for one in capacity}
    made = Provenance(
        prunebench=VERSION,
        file=recorded_path(benchmark.file),
        profile=benchmark.profile,
        settings=prepared.options.changes,
        seeds=tuple(benchmark.seeds),
        entries=tuple(entry.name for entry in benchmark.entries),
        environment=fields,
        hardware=dict(hardware() if own is None else own) | {"device": str(fields["device"])},
        wall_seconds=round(execution.seconds, 1),
        finished=datetime.datetime.now(datetime.UTC).date().isoformat(),
        runs=RunCounts(naive=before.runs_naive, distinct=before.runs_distinct, cached=before.runs_cached),
        steps=before.sample_steps,
        components={
            name: ComponentOrigin(
                version=use.component.version, distribution=use.provider.distribution, paper=use.component.paper
            )
            for name, use in benchmark.uses().items()
        },
        report=report_settings(benchmark, [without_places(note, prepared) for note in notes]),
        also=tuple(use.to_json() for use in benchmark.also),
        metrics=metrics_of(benchmark),
        primary=primary(benchmark.entries[0].metrics),
    )
    # Where there is nothing to state they stay unstated, and the file is as it always was.
    stated = {"environments": several if len(several) > 1 else {}, "missing_seeds": benchmark.missing_seeds}
    return made.model_copy(update={name: value for name, value in stated.items() if value})


def report_settings(benchmark: Benchmark, notes: Sequence[str] = ()) -> ReportSettings:
    """What the page of a benchmark ranks by and says."""
    return ReportSettings(
        name=benchmark.name,
        claim=benchmark.claim,
        metric=benchmark.report.metric,
        against=benchmark.report.against,
        alpha=benchmark.report.alpha,
        axis=benchmark.report.axis,
        at=tuple(benchmark.report.at),
        notes=tuple(notes),
        expectations=tuple(expect.model_dump() for expect in benchmark.expect),
    )


def metrics_of(benchmark: Benchmark) -> dict[str, MetricInfo]:
    """How the metrics of a file's tasks read, by name."""
    return {name: info for entry in benchmark.entries for name, info in all_metrics(entry.metrics).items()}


def recorded_path(file: str) -> str:
    """A path as it may stand in what is published: seen from the working folder, or its last part alone."""
    path = Path(os.path.abspath(file))
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


def without_places(text: str, prepared: Prepared) -> str:
    """A text without the folders of this machine: an error may name them, and the user with them."""
    store = prepared.store_path
    if isinstance(store, str) and scheme_of(store) is not None:
        text, store = text.replace(store.rstrip("/"), "STORE"), prepared.root
    places = {
        Path(store): "STORE",
        prepared.root: "DATA",
        Path.cwd(): ".",
        Path.home(): "~",
        Path(tempfile.gettempdir()): "TMP",
    }
    named = {str(place.absolute()): name for place, name in places.items()}
    for place in sorted(named, key=len, reverse=True):
        if len(Path(place).parts) > 1:
            text = text.replace(place, named[place])
    return text


FAILED = "Failed: "
"""How the note on a trial that failed begins; then the trial and the error."""

MANY = 0.1
"""Share of a network's parameters that are weights and stay dense above which densities are not the network's."""


def notes(prepared: Prepared, rows: Sequence[Row], failed: Mapping[str, str]) -> list[str]:
    """What a reader must know before the first number: reductions, subsets, failures."""
    benchmark = prepared.benchmark
    found = []
    if benchmark.note:
        found.append(benchmark.note)
    if benchmark.profile is not None:
        found.append(f'Reduced: profile "{benchmark.profile}"; not comparable with results of the full file.')
    changed = [f"`--set {s}`" for s in prepared.options.changes]
    if prepared.options.only:
        changed.append("`--only " + " --only ".join(prepared.options.only) + "`")
    if changed:
        found.append("Changed on the command line: " + ", ".join(changed) + ".")
    found += numerics_notes(benchmark.entries)
    found += sorted({f"{trial.data}: {trial.note}" for trial in prepared.plan.trials if trial.note})
    found += sorted({f"{trial.model}: {trial.weights_note}" for trial in prepared.plan.trials if trial.weights_note})
    for trial, coverage in prepared.plan.coverages():
        if sum(one.values for one in coverage.weights) > MANY * coverage.values:
            rest = "; ".join(
                f"{one.reason}, {100 * one.values / coverage.values:.1f} %" for one in coverage.weights[:3]
            )
            found.append(
                f"{trial.model}: units {trial.units_kind} are {100 * coverage.share:.1f} % of the parameters, and "
                f"densities are of those. The rest stays dense: {rest}."
            )
    mixed = sum(bool(row.environments) for row in rows)
    if mixed and prepared.options.reuse == "same":
        elsewhere = ", ".join(sorted({name for row in rows for name in row.environments}))
        found.append(
            f"Several environments: {mixed} of {len(rows)} rows were made in {elsewhere} and not in the first one; "
            "each such row names it. Chains that share work were computed in one."
        )
    elif mixed:
        found.append(
            f"Mixed environments (`--reuse any`): {mixed} of {len(rows)} rows rest on artifacts that were made "
            "elsewhere; each such row lists them."
        )
    found += [f"{FAILED}{trial}: {error}" for trial, error in failed.items()]
    return found


def numerics_notes(entries: Sequence[Entry]) -> list[str]:
    """Which entries train in anything else than plain float32."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        said = {_numerics(recipe) for recipe in entry.recipes()} - {""}
        for text in sorted(said):
            names.setdefault(text, []).append(entry.name)
    return [
        f"Trained {text}: {'every entry' if len(named) == len(entries) else ', '.join(named)}. Weights, masks and all "
        "that is measured are float32."
        for text, named in names.items()
    ]


def _numerics(recipe: Recipe) -> str:
    kinds = {"bf16": "in bfloat16", "tf32": "in TF32"}
    parts = [kinds[recipe.numerics]] if recipe.numerics in kinds else []
    parts += ["with channels last in memory"] if recipe.memory_format == "channels_last" else []
    parts += ["through torch.compile"] if recipe.compile else []
    return ", ".join(parts)
