"""Results -> statistics -> tables, curves, page. Importing this costs no scipy and no matplotlib."""

from prunebench.leaderboard.board import write_leaderboard
from prunebench.leaderboard.details import read_details
from prunebench.leaderboard.provenance import read_provenance
from prunebench.leaderboard.rows import read_rows

__all__ = ["read_details", "read_provenance", "read_rows", "write_leaderboard"]
