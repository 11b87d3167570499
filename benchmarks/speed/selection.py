"""The selection kernel, masks included, against a bare `np.partition` of the same scores in one piece.

The partition only finds the threshold: no masks, no tie rule, no check for NaN, and the scores lie ready in one array.
"""

from __future__ import annotations

import multiprocessing
import re
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor

from prunebench.kernels.selection import keep_highest

UNITS = 25_000_000
DENSITY = 0.2
PAIRS = 11
CASES = ("magnitudes", "half of them alive", "heavy ties", "signed", "negative")
TIME_TARGET = 1.0
MEMORY_TARGET = 5.0


def measure() -> list[Row]:
    """Time as a multiple of the partition's, then peak memory beyond the masks in % of the scores'."""
    rows = []
    for case in CASES:
        scores, alive, count = workload(case)
        flat = scores[0].numpy()
        ratios = pair_ratios(
            lambda: keep_highest(scores, alive, count),  # noqa: B023
            lambda: np.partition(flat, flat.size - count),  # noqa: B023
            PAIRS,
        )
        note = f"{UNITS:,} fp32, {count:,} kept, {torch.get_num_threads()} threads"
        rows.append(row(f"selection / np.partition, {case}", ratios, TIME_TARGET, note))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        for case, percent in zip(CASES, fresh.imap(extra_memory, CASES, chunksize=1), strict=True):
            note = "peak in a fresh process, resident or traced, whichever is larger"
            name = f"selection, memory beyond the masks, {case}"
            rows.append(
                {"name": name, "ratio": percent, "target": MEMORY_TARGET, "unit": "% of the scores", "note": note}
            )
    return rows


def workload(case: str) -> tuple[list[Tensor], list[Tensor] | None, int]:
    """Scores in one layer, what is alive, and how many to keep."""
    generator = torch.Generator().manual_seed(0)
    # in place throughout: a second copy would hide the peak of what is measured
    scores = torch.empty(UNITS).normal_(generator=generator)
    if case != "signed":
        scores.abs_()
    if case == "negative":
        scores.neg_()
    if case == "heavy ties":
        scores.mul_(3).round_()
    alive = None
    if case == "half of them alive":
        alive = [torch.empty(UNITS, dtype=torch.bool).bernoulli_(0.5, generator=generator)]
    return [scores], alive, int(DENSITY * UNITS)


def extra_memory(case: str) -> float:
    """Peak memory of one selection, less the masks, in % of the scores: the larger of two measures. Linux only.

    Resident memory sees every allocator, but not what fits into memory freed before; tracemalloc sees all that NumPy
    asks for, which is where the kernel works on the CPU, but nothing of torch's.
    """
    scores, alive, count = workload(case)
    keep_highest([scores[0][:1000]], None, 10)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now
    before = resident("VmHWM")
    masks = keep_highest(scores, alive, count)
    resident_peak = resident("VmHWM") - before
    own = sum(mask.nbytes for mask in masks)
    del masks
    tracemalloc.start()
    keep_highest(scores, alive, count)
    _, traced_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return 100 * (max(resident_peak, traced_peak) - own) / sum(score.nbytes for score in scores)


def resident(field: str) -> int:
    """A field of this process's status in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))


if __name__ == "__main__":
    torch.set_num_threads(1)  # ratios are of processor time
    show(measure())
