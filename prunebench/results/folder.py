"""A leaderboard's results, as they were recorded in its folder."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.engine.collector import without_collector
from prunebench.results.details import read_details
from prunebench.results.manifest import check_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows


def read_results(folder: str | Path) -> Results:
    """A leaderboard's results.

    Raises:
        PrunebenchError: not a leaderboard, or a file of it was edited or is damaged.
    """
    folder = Path(folder)
    wrong = check_manifest(folder)
    if wrong:
        raise PrunebenchError(f"{folder}: {'; '.join(wrong)}")
    return recorded(folder)


def recorded(folder: Path) -> Results:
    """The results that files hold, which were found to be as they were written.

    Raises:
        PrunebenchError: one of them is damaged.
    """
    provenance = read_provenance(folder)
    with without_collector():
        return Results(provenance.report.name, read_rows(folder), read_details(folder), provenance)
