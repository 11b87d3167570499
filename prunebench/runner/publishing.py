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
from prunebench.results.details import read_details
from prunebench.results.manifest import check_manifest, write_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows
from prunebench.results.tolerance import RULES, rules_text, tolerance_of
from prunebench.runner.preparing import Prepared
from prunebench.runner.running import Outcome


def write(prepared: Prepared, outcome: Outcome, out: Path) -> None:
    """Write the leaderboard, then let the file's own reports write beside it."""
    _write(out, outcome.results, prepared.benchmark.also)


def report_again(folder: Path, metric: str | None = None, against: str | None = None) -> Results:
    """Write a leaderboard's tables and curves again from its results, which are returned.

    Raises:
        PrunebenchError: the folder is not a leaderboard, or its results were edited.
    """
    rows, provenance = read_rows(folder), read_provenance(folder)
    edited = [line for line in check_manifest(folder) if line.split()[0] in ("results.jsonl", "details.jsonl")]
    if edited:
        raise PrunebenchError(f"{folder}: {edited[0]}; a page is only written for results as they were recorded")
    return write_results(
        folder, Results(provenance.report.name, rows, read_details(folder), provenance), metric, against
    )


def write_results(folder: Path, results: Results, metric: str | None = None, against: str | None = None) -> Results:
    """Write the leaderboard of results that were read from folders, ranked by what was recorded or by what is given."""
    report = results.provenance.report
    report = report.model_copy(update={"metric": metric or report.metric, "against": against or report.against})
    results = replace(results, provenance=results.provenance.model_copy(update={"report": report}))
    catalogue = Catalogue.load()
    _write(folder, results, [catalogue.from_json(use) for use in results.provenance.also])
    return results


def _write(folder: Path, results: Results, also: Sequence[BoundComponent]) -> None:
    from prunebench.leaderboard import write_leaderboard
    from prunebench.leaderboard.page import write_page
    from prunebench.leaderboard.tiers import verification_of

    provenance = results.provenance
    tolerance = tolerance_of(results.rows, results.details, provenance.report.metric)
    rules = rules_text(tolerance, len(provenance.seeds), provenance.report.alpha)
    more = {"tolerance": tolerance.to_json(), "verification": verification_of(folder, results.rows)}
    results = replace(results, provenance=provenance.model_copy(update=more))
    write_leaderboard(folder, results)
    write_page(folder / "index.html", results)
    (folder / RULES).write_text(rules, encoding="utf-8", newline="\n")
    # Once for what is reported with the folder, and again for what reports leave in it.
    write_manifest(folder)
    run_manager(also).hook.prunebench_report(results=results, folder=folder)
    write_manifest(folder)
