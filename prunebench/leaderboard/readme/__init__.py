"""README.md of a leaderboard, in the order of a sceptic's questions. It prints a board, and computes nothing."""

from prunebench.leaderboard.readme.page import CURVES, RANKS, page

__all__ = ["CURVES", "RANKS", "page"]
