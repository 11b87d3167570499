"""The suite from Python: benchmark files, leaderboards and single networks, in a script or a notebook."""

from prunebench.leaderboard.two_boards import Comparison
from prunebench.library.experiment import Experiment, load
from prunebench.library.leaderboard import Leaderboard, compare, load_results
from prunebench.library.pruning import Pruning, prune
from prunebench.library.tickets import load_ticket
from prunebench.runner.zoo.pull import LoadedTicket

__all__ = [
    "Comparison",
    "Experiment",
    "Leaderboard",
    "LoadedTicket",
    "Pruning",
    "compare",
    "load",
    "load_results",
    "load_ticket",
    "prune",
]
