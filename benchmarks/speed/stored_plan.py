"""Finding out that a folder store has every one of 100,000 outputs: what `plan` and `run` pay before anything trains.

Each is asked for by its address in one batch, as a plan does: its record is read, its seal checked, and its files are
there in their sizes. No payload is hashed. Processor time, the system's share included; the file cache is warm, since
the store was just filled. Filling it is not timed.
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

from prunebench.store.copies import RECORD, prefix_of
from prunebench.store.environment import Environment
from prunebench.store.records import Record
from prunebench.store.store import Store

TARGET = 20.0
ARTIFACTS = 100_000
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
            began = time.process_time()
            there = store.have(addresses)
            seconds.append(time.process_time() - began)
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
    """Write the files of a small artifact under each address, as `Store.put` leaves them but without its syncs."""
    Store(folder, environment=HERE).put_json("made", "by the store, so that the folder is one")
    lineage = (HERE.id,)
    for address in addresses:
        files = {"curve.json": address.encode(), "meta.json": b"{}"}
        record = Record(
            address,
            sizes={name: len(data) for name, data in files.items()},
            digests={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            meta={"outcome": "finished"},
            lineage=lineage,
            parents=(),
            environment=HERE.fields,
        )
        place = folder / prefix_of(address) / HERE.id
        os.makedirs(place)
        for name, data in {**files, RECORD: record.sealed()}.items():
            (place / name).write_bytes(data)


if __name__ == "__main__":
    show(measure())
