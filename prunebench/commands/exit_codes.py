"""The exit codes of every command."""

from __future__ import annotations

from collections.abc import Mapping

EXIT_CODES: Mapping[int, str] = {
    0: "all went well",
    1: "a run or a trial failed, or something does not hold",
    2: "bad input; nothing was trained",
    130: "stopped by Ctrl-C; what was done is stored",
    143: "stopped by SIGTERM; what was done is stored",
}

IN_HELP = "Exit codes: " + ". ".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items()) + "."
"""What the help of every command ends with."""
