"""Results -> the board -> pages, tables and pictures. Importing this costs no scipy and no matplotlib."""

from prunebench.leaderboard.build import board_of
from prunebench.leaderboard.expectations import verdicts
from prunebench.leaderboard.write import write_leaderboard

__all__ = ["board_of", "verdicts", "write_leaderboard"]
