"""A leaderboard's results, as they were recorded in its folder."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.engine.collector import without_collector
from prunebench.results.details import read_details
from prunebench.results.manifest import check_manifest, read_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows


def read_results(folder: str | Path) -> Results:
    """A leaderboard's results.

    Raises:
        PrunebenchError: not a leaderboard, or a file of it was edited or is damaged, or it is being written.
    """
    folder = Path(folder)
    before = read_manifest(folder)
    wrong = check_manifest(folder)
    if wrong:
        raise PrunebenchError(f"{folder}: {'; '.join(wrong)}")
    results = recorded(folder)
    # Its files are replaced one after the other: those that were read may be of two sets.
    if read_manifest(folder) != before:
        raise PrunebenchError(f"{folder}: it was written while it was read; run again")
    return results


def recorded(folder: Path) -> Results:
    """The results that files hold, which were found to be as they were written.

    Raises:
        PrunebenchError: one of them is damaged.
    """
    provenance = read_provenance(folder)
    with without_collector():
        return Results(provenance.report.name, read_rows(folder), read_details(folder), provenance)
