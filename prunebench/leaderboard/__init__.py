"""Results -> statistics -> tables, curves, page. Importing this costs no scipy and no matplotlib."""

from prunebench.leaderboard.board import write_leaderboard
from prunebench.leaderboard.details import read_details
from prunebench.leaderboard.expectations import Judgement, verdicts
from prunebench.leaderboard.mixing import check_mixable
from prunebench.leaderboard.provenance import read_provenance
from prunebench.leaderboard.rows import read_rows

__all__ = [
    "Judgement",
    "check_mixable",
    "read_details",
    "read_provenance",
    "read_rows",
    "verdicts",
    "write_leaderboard",
]
