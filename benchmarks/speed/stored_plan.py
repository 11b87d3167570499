"""Finding out that a folder store has every one of 100,000 outputs: what `plan` and `run` pay before anything trains.

Each is asked for by its address in one batch, as a plan does: its record is read, its seal checked, and its files are
there in their sizes. Nothing is hashed. The file cache is warm, since the store was just filled; filling it, without the
syncs that make a store safe, is not timed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from interleave import Row, show

from prunebench.store.environment import Environment
from prunebench.store.store import Store

TARGET = 20.0
ARTIFACTS = 10_000
REPETITIONS = 3
HERE = Environment({"torch": "2.9.0", "device": "cpu", "threads": 1, "cpu": "EPYC", "instructions": "AVX512"})


def measure() -> list[Row]:
    """One line, in seconds for 100,000 outputs."""
    addresses = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(ARTIFACTS)]
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder), addresses)
        seconds = []
        for _ in range(REPETITIONS):
            store = Store(Path(folder), environment=HERE)
            began = time.perf_counter()
            there = store.have(addresses)
            seconds.append(time.perf_counter() - began)
            if len(there) != len(addresses):
                raise AssertionError("the store lacks what was put into it")
    low, high = min(seconds), max(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{ARTIFACTS:,} artifacts of two files; {REPETITIONS} times, {low:.1f} to {high:.1f} s; {peak:.0f} MiB"
    return [
        {
            "name": "looking up 100,000 outputs",
            "ratio": statistics.median(seconds),
            "target": TARGET,
            "unit": "s",
            "note": note,
        }
    ]


def filled(folder: Path, addresses: list[str]) -> None:
    """Put a small artifact under each address, without waiting for the disk."""
    store, sync = Store(folder, environment=HERE), os.fsync
    os.fsync = lambda handle: None
    try:
        for address in addresses:
            store.put(address, {"curve.json": address.encode(), "meta.json": b"{}"}, {"outcome": "finished"}, [])
    finally:
        os.fsync = sync


if __name__ == "__main__":
    show(measure())
