"""Running a file whose every output is in the store: what is left is finding that out and reading the results.

The quickstart's plan, with trainings of two steps so that filling the store takes seconds: how long something was
trained makes no difference to a store that has it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from interleave import Row, show

from prunebench import runner
from prunebench.runner.preparing import Options

TARGET = 5.0
REPETITIONS = 11
FILE = Path(__file__).parent.parent / "quickstart.toml"
SETTINGS = ('train.horizon="2it"', 'measure.every="1it"', "execution.workers=0", 'execution.device="cpu"')


def measure() -> list[Row]:
    """One line, in milliseconds a phase."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(FILE, seeds=(0,), settings=SETTINGS, store=Path(folder))
        first = runner.run(runner.prepare(options))
        if first.failed:
            raise AssertionError(f"the store could not be filled: {first.failed}")
        prepared = runner.prepare(options)
        phases = len(prepared.plan.wanted)
        milliseconds = []
        for _ in range(REPETITIONS):
            began = time.perf_counter()
            again = runner.run(prepared)
            milliseconds.append((time.perf_counter() - began) * 1_000 / phases)
            if again.rows != first.rows or again.execution.done:
                raise AssertionError("the second run did not find everything in the store")
    low, _, high = statistics.quantiles(milliseconds, n=4)
    note = (
        f"a second run of {phases} phases, {len(first.rows)} rows read; {REPETITIONS} times, "
        f"middle half {low:.2f} to {high:.2f}"
    )
    return [
        {"name": "cached phase", "ratio": statistics.median(milliseconds), "target": TARGET, "unit": "ms", "note": note}
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
