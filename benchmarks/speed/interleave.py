"""Two pieces of work timed side by side in one process: turn by turn, so that both meet the same noise."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
"""One measured line: `name`, `ratio`, `target`, `note`; and `unit` where `ratio` is not one, such as "s" or "ms"."""


def pair_ratios(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> list[float]:
    """Seconds of `ours` over seconds of `theirs` for each pair of neighbouring runs, who begins alternating.

    Both run once before the clock does. A ratio is taken within a pair, so a slow spell of the machine hits both sides
    of it. The clock is this process's processor time: for one thread that never waits it is what a wall clock shows on
    an idle machine, and it does not count what others run meanwhile. The collector is kept out, as it would hit
    whichever side fills its quota.
    """
    ours(), theirs()
    ratios = []
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for pair in range(pairs):
            if pair % 2:
                below, above = _seconds(theirs), _seconds(ours)
            else:
                above, below = _seconds(ours), _seconds(theirs)
            ratios.append(above / below)
    finally:
        if collecting:
            gc.enable()
    return ratios


def row(name: str, ratios: list[float], target: float, note: str) -> Row:
    """The median of the pairs as a line, with their middle half in the note."""
    low, _, high = statistics.quantiles(ratios, n=4)
    spread = f"{len(ratios)} pairs, middle half {low:.3f} to {high:.3f}"
    return {"name": name, "ratio": statistics.median(ratios), "target": target, "note": f"{note}; {spread}"}


def show(rows: list[Row]) -> None:
    """Print the lines of one script."""
    for one in rows:
        value = f"{one['ratio']:.3f}{' ' + one['unit'] if one.get('unit') else 'x'}"
        verdict = f"target {one['target']:g}, {'met' if one['ratio'] <= one['target'] else 'MISSED'}"
        if one["target"] == float("inf"):
            verdict = "no target"
        print(f"{one['name']}: {value} ({verdict}); {one['note']}", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
