"""Results -> statistics -> tables, curves, page. Importing this costs no scipy and no matplotlib."""

from prunebench.leaderboard.board import write_leaderboard
from prunebench.leaderboard.expectations import Judgement, verdicts
from prunebench.results.details import read_details
from prunebench.results.merge import check_mixable
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows

__all__ = [
    "Judgement",
    "check_mixable",
    "read_details",
    "read_provenance",
    "read_rows",
    "verdicts",
    "write_leaderboard",
]
