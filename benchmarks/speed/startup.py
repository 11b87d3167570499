"""`prunebench --help`, warm, in a process of its own, against a Python that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from interleave import Row, show

TARGET = 0.4
REPETITIONS = 11
# What the console script runs, for the interpreter that runs this file.
HELP = ["-c", "import sys; from prunebench.commands.main import main; sys.argv = ['prunebench', '--help']; main()"]
NOTHING = ["-c", "pass"]


def measure() -> list[Row]:
    """One line, in seconds, with the ratio to an empty Python in its note."""
    _seconds(HELP), _seconds(NOTHING)
    helped, idle = [], []
    for _ in range(REPETITIONS):
        helped.append(_seconds(HELP))
        idle.append(_seconds(NOTHING))
    ratio = statistics.median(a / b for a, b in zip(helped, idle, strict=True))
    low, _, high = statistics.quantiles(helped, n=4)
    note = (
        f"{ratio:.1f} times `python -c pass` ({statistics.median(idle):.3f} s); {REPETITIONS} times, "
        f"middle half {low:.2f} to {high:.2f}"
    )
    return [
        {"name": "prunebench --help", "ratio": statistics.median(helped), "target": TARGET, "unit": "s", "note": note}
    ]


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    show(measure())
