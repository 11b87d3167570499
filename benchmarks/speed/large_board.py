"""A study of 252 trials with 20 judged tickets each, 50,400 rows of 10,344 phases: a run that finds all, and `report`.

Learning curves of 21 points with six numbers each, 10,000 test images: values are as good as random, so that nothing is
smaller than it would be. The store is filled without training, which is not timed. Each command is a process of its
own, Python's start included. It runs twice: first it renders the board, then the board is up to date. Processor time,
and the peak of resident memory on Linux.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interleave import Row, show
from plotly.offline import get_plotlyjs

from prunebench.api.keys import canonical
from prunebench.api.planning import Ref
from prunebench.engine.environment import fingerprint
from prunebench.plan.trial import Plan
from prunebench.runner.preparing import Options, prepare
from prunebench.store.copies import RECORD, prefix_of
from prunebench.store.environment import Environment
from prunebench.store.records import Record
from prunebench.store.store import Store

SECONDS, MEMORY, PAGE = 5.0, 500.0, 2.0
"""The targets of both commands, and of the page in MB."""

IMAGES = 10_000
# The peak that the system records for a child begins with what its parent had; this one is the process's own.
MEASURED = """
import sys, time
from pathlib import Path
from prunebench.commands.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(time.process_time(), int(peak.split()[1]) / 1024)
"""
STUDY = """
schema = 1
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
cut = 0.2
rounds = 20
data = "mnist"
model = { name = "lenet_300_100" }
train = { horizon = "2000it", batch = 60, optimizer = { use = "adam", lr = 1.2e-3 } }
measure = { every = "100it" }
execution = { device = "cpu", workers = 1, threads = 1 }

[[entry]]
name = "imp-{lr}"
schedule = "rewind"
score = "magnitude"
select = "global"

[entry.grid]
lr = { "train.optimizer.lr" = [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4, 9e-4, 1e-3, 1.1e-3, 1.2e-3, 1.3e-3,
    1.4e-3, 1.5e-3, 1.6e-3, 1.7e-3, 1.8e-3, 1.9e-3, 2e-3, 2.1e-3] }
"""


def measure() -> list[Row]:
    """Seconds and memory of the run and of the report, and the size of the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        board = folder / "board"
        os.environ["PRUNEBENCH_CACHE"] = str(folder / "cache")  # knows nothing of the board, and soon this machine
        phases = filled(folder)
        command = ("run", folder / "study.toml", "--store", folder / "store", "--out", board, "--json")
        _spent("plan", *command[1:4], "--no-calibrate")  # from here on the machine's fingerprint is known
        run, again = _spent(*command), _spent(*command)
        shutil.rmtree(folder / "cache")
        report, kept = _spent("report", board), _spent("report", board)
        with (board / "results.jsonl").open() as lines:
            about = f"{phases:,} phases, {sum(1 for _ in lines):,} rows; once"
        page, plotly = (board / "index.html").stat().st_size, len(get_plotlyjs().encode())
    of_page = f"without the {plotly / 1e6:.1f} MB of plotly.js that every page holds"
    return [
        _row("a cached run, 50,400 rows, board up to date", again[0], SECONDS, "s", about),
        _row("a cached run, 50,400 rows, board rendered", run[0], SECONDS, "s", about),
        _row("memory of a cached run, 50,400 rows", run[1], MEMORY, "MiB", "peak of the process that renders"),
        _row("report of 50,400 rows, board up to date", kept[0], SECONDS, "s", "once"),
        _row("report of 50,400 rows, board rendered", report[0], SECONDS, "s", "once"),
        _row("memory of a report, 50,400 rows", report[1], MEMORY, "MiB", "peak of the same process"),
        _row("page of 50,400 rows", (page - plotly) / 1e6, PAGE, "MB", of_page),
    ]


def filled(folder: Path) -> int:
    """Write the study and put what its results are read off into a store; how many phases it has."""
    file = folder / "study.toml"
    file.write_text(STUDY)
    prepared = prepare(Options(file, store=folder / "store"))
    here = fingerprint("cpu", 1)
    Store(folder / "store", environment=here).put_json("made", "by the store, so that the folder is one")
    for address, files, meta in _outputs(prepared.plan):
        _write(folder / "store", here, address, files, meta)
    return len(prepared.plan.wanted)


def _outputs(plan: Plan) -> Iterator[tuple[str, dict[str, bytes], dict[str, Any]]]:
    rng = random.Random(0)
    for trial in plan.trials:
        sizes = [layer.count for layer in trial.layers]
        for evaluation in trial.evaluations:
            if isinstance(evaluation.mask, Ref):
                count = evaluation.run.ticket.count
                share = float(count) / trial.units
                kept = [round(size * share) for size in sizes]
                meta = {
                    "count": count,
                    "counts": kept,
                    "parameters": sum(kept) + 410,
                    "parameters_all": trial.parameters,
                    "macs": sum(kept),
                    "macs_all": trial.units,
                }
                yield evaluation.mask.address, {"mask.bits": rng.randbytes(64)}, meta
            points = []
            for iteration in range(0, 2_001, 100):
                point: dict[str, Any] = {"iteration": iteration}
                for split in ("train", "valid", "test"):
                    point[f"{split}/accuracy"] = rng.randrange(IMAGES + 1) / IMAGES
                    point[f"{split}/loss"] = rng.random()
                points.append(point)
            bits = rng.randbytes(IMAGES // 8)
            points[-1]["test/accuracy"] = int.from_bytes(bits).bit_count() / IMAGES
            files = {"curve.json": canonical({"points": points}).encode(), "test.hits": bits}
            yield evaluation.curve.address, files, {"constant": False, "outcome": "finished"}


def _write(root: Path, here: Environment, address: str, files: dict[str, bytes], meta: dict[str, Any]) -> None:
    """As `Store.put` leaves them, but without its syncs."""
    record = Record(
        address,
        sizes={name: len(data) for name, data in files.items()},
        digests={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        meta=meta,
        lineage=(here.id,),
        parents=(),
        environment=here.fields,
    )
    place = root / prefix_of(address) / here.id
    place.mkdir(parents=True, exist_ok=True)
    for name, data in {**files, RECORD: record.sealed()}.items():
        (place / name).write_bytes(data)


def _spent(*words: str | Path) -> tuple[float, float]:
    """Processor seconds, the system's share included, and the peak of resident memory in MiB."""
    command = [sys.executable, "-c", MEASURED, *map(str, words)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds, peak = found.stdout.split()[-2:]
    return float(seconds), float(peak)


def _row(name: str, value: float, target: float, unit: str, note: str) -> Row:
    return {"name": name, "ratio": value, "target": target, "unit": unit, "note": note}


if __name__ == "__main__":
    show(measure())
