"""A leaderboard held against its file, against itself and against a second run."""

from __future__ import annotations

import datetime
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prunebench.api.errors import ConfigError
from prunebench.api.provenance import Scalar, VerificationRecord
from prunebench.api.results import Results
from prunebench.kernels.hardware import hardware
from prunebench.leaderboard import board_of
from prunebench.plan.trial import Plan
from prunebench.results.details import details_text
from prunebench.results.folder import read_results
from prunebench.results.manifest import check_manifest
from prunebench.results.measured_rows import rows_of_left_out
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import rows_text
from prunebench.results.verification import sha256_of_text
from prunebench.runner.publishing import record_verification
from prunebench.verification.audit import audit, contradictions
from prunebench.verification.audit.environments import made_in
from prunebench.verification.comparison import Comparison, allowances, compare
from prunebench.verification.coverage import Cell, Coverage, draw
from prunebench.verification.rerun import Again, Show, chosen_entries, planned, rerun
from prunebench.verification.source import benchmark_file


def verify(
    folder: Path,
    *,
    entries: str = "all",
    seeds: int | None = None,
    sample: int | None = None,
    cells: Sequence[Cell] = (),
    file: Path | None = None,
    show: Show,
) -> Comparison:
    """Check manifest, file and pages, then run entries of a leaderboard again and compare.

    Args:
        entries: "all", "top3" (the three best of each table), or names with commas between.
        seeds: how many of the recorded seeds, the first ones.
        sample: draw so many pairs of entry and seed at random instead.
        cells: these pairs of entry and seed instead.
        file: the benchmark file; the recorded one if None.
        show: given the plan, returns a display of its progress.
    Raises:
        PrunebenchError: not a leaderboard, a damaged one, or the file is gone.
    """
    differences = check_manifest(folder)
    if differences:
        return Comparison(manifest=tuple(differences))
    results = read_results(folder)
    provenance = results.provenance
    found = tuple(contradictions(results))
    if found:
        return Comparison(findings=found)
    source = benchmark_file(folder, provenance, file)
    with tempfile.TemporaryDirectory(prefix="prunebench-plan-") as scratch:
        whole = planned(source, provenance, Path(scratch) / "store")
        checked = audit(folder, results, whole)
        here = whole.open_store().environment.fields
    if checked.findings:
        return Comparison(findings=checked.findings, remarks=checked.remarks)
    known = frozenset((entry, seed) for entry in provenance.entries for seed in provenance.seeds)
    chosen = _chosen(results, known, entries, seeds, sample, cells)
    again = _second_run(results, source, whole.plan, chosen, here, show)
    recorded = [row for row in results.rows if (row.entry, row.seed) in chosen]
    metric = provenance.report.metric
    comparison = compare(
        recorded,
        again.rows,
        provenance.environment,
        again.environment,
        metric=metric,
        allowed=allowances(results.rows, again.rows, again.details, metric, chosen == known),
        details=([line for line in results.details if (line.entry, line.seed) in chosen], again.details),
        made=made_in(provenance),
    )
    coverage = Coverage(chosen, known, sample is not None, len(recorded), len(results.rows))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    held_against = f"{source} (sha256 {digest[:12]})"
    return replace(
        comparison,
        remarks=checked.remarks,
        coverage=coverage,
        file=held_against,
        results=sha256_of_text(rows_text(results.rows)),
        details_sha256=sha256_of_text(details_text(results.details)),
    )


def _second_run(
    results: Results,
    source: Path,
    plan: Plan,
    chosen: frozenset[Cell],
    here: Mapping[str, Scalar],
    show: Show,
) -> Again:
    """Pairs of entry and seed, run again. Of a method that applies to no network of the file, planning is the run.

    Args:
        plan: of the whole file.
        here: the environment of this process.
    """
    applied = {trial.entry for trial in plan.trials}
    cells = sorted((cell for cell in chosen if cell[0] in applied), key=lambda cell: _place(results, cell))
    again = rerun(source, results.provenance, cells, show)
    apart = [row for out in plan.left_out if out.entry not in applied for row in rows_of_left_out(out)]
    rows = [*again.rows, *(row for row in apart if (row.entry, row.seed) in chosen)]
    return Again(rows, again.details, again.environment if cells else dict(here))


def _chosen(
    results: Results,
    known: frozenset[Cell],
    entries: str,
    seeds: int | None,
    sample: int | None,
    cells: Sequence[Cell],
) -> frozenset[Cell]:
    if sample is not None:
        return draw(known, sample)
    if cells:
        unknown = [cell for cell in cells if cell not in known]
        if unknown:
            raise ConfigError([f'--cell: no entry "{entry}" with seed {seed} here' for entry, seed in unknown])
        return frozenset(cells)
    names = chosen_entries(entries, board_of(results))
    return frozenset((name, seed) for name in names for seed in results.provenance.seeds[:seeds])


def _place(results: Results, cell: Cell) -> tuple[int, int]:
    """Where a cell stands in the order of the file."""
    entry, seed = cell
    return results.provenance.seeds.index(seed), results.provenance.entries.index(entry)


def record(folder: Path, comparison: Comparison) -> None:
    """Note beside a leaderboard what was executed again, when and where; its page quotes it from then on.

    Raises:
        PrunebenchError: its results are no longer those that were compared, or the folder cannot be written.
    """
    from prunebench.api.version import VERSION

    provenance, coverage = read_provenance(folder), comparison.coverage
    entries = tuple(name for name in provenance.entries if any(name == entry for entry, _ in coverage.cells))
    seeds = tuple(seed for seed in provenance.seeds if any(seed == other for _, other in coverage.cells))
    noted = VerificationRecord(
        when=datetime.datetime.now(datetime.UTC).date().isoformat(),
        prunebench=VERSION,
        hardware=hardware(),
        environment=dict(comparison.environment),
        bit_equal=comparison.same_environment,
        entries=entries,
        seeds=seeds,
        drawn=coverage.drawn,
        numbers=comparison.compared,
        results=comparison.results,
        details=comparison.details_sha256,
    )
    if len(coverage.cells) < len(entries) * len(seeds):
        cells = {name: tuple(seed for seed in seeds if (name, seed) in coverage.cells) for name in entries}
        noted = noted.model_copy(update={"cells": cells})
    record_verification(folder, noted)
