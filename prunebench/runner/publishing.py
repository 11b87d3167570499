"""Writes a leaderboard, and what reports leave beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.results.manifest import check_manifest, write_manifest
from prunebench.results.tolerance import RULES, rules_text, tolerance_of
from prunebench.runner.preparing import Prepared
from prunebench.runner.running import Outcome


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
    _write_told(folder, results, [catalogue.from_json(use) for use in results.provenance["also"]])
    return results


def _write_told(folder: Path, results: Results, also: Sequence[BoundComponent]) -> None:
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
