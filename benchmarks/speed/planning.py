"""Reading a benchmark file and planning 1,000 to 100,000 phases: what `check` and `plan` do for a large study.

The sizes differ in their seeds alone, so that what grows faster than the plan would show.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path

from interleave import Row, show

from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark import load as config
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import Costs, make_plan
from prunebench.plan.first_step import FirstStep
from prunebench.plan.published import FirstWeights
from prunebench.plan.scoring import Scoring
from prunebench.plan.trial import Plan

SECONDS = {1_000: 0.2, 10_000: 2.0, 100_000: 15.0}
"""The target for each number of phases."""
REPETITIONS = {1_000: 11, 10_000: 7, 100_000: 3}
MEMORY = 2048.0
"""MiB for the largest."""
PHASES_OF_A_SEED = 493
"""Of the study with its twelve learning rates."""

# 12 learning rates x 21 seeds, 20 rounds each; every ticket is judged.
STUDY = """
schema = 1
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
cut = 0.2
rounds = 20

[data]
use = "mnist5k"

[model]
name = "lenet_300_100"
init = "xavier_normal"

[train]
horizon = "20ep"
batch = 60
optimizer = { use = "adam", lr = 1.2e-3 }

[measure]
every = "1ep"

[[entry]]
name = "imp-{lr}"
schedule = "rewind"
score = "magnitude"
select = { use = "layerwise", rates = { "head*" = 0.5 } }
units = { use = "weights", classifier = true }

[entry.grid]
lr = { "train.optimizer.lr" = [1e-4, 2e-4, 3e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1.2e-3, 2e-3, 3e-3, 4e-3, 6e-3] }
"""


class KnownSizes:
    """What a probe would have cached of MNIST-5k and LeNet-300-100: no data is read, no torch imported."""

    def data(self, chosen: DataChoice) -> DataInfo:
        """4,000 training images."""
        return DataInfo("mnist5k", "0" * 64, {"train": 4_000, "valid": 500, "test": 500}, (1, 28, 28), 10)

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        """No network starts from a file."""
        raise NotImplementedError

    def least(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> Costs:
        """Nothing is cut to a share of a cost."""
        raise NotImplementedError

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        """Three layers."""
        sizes = {"fc1.weight": 235_200, "fc2.weight": 30_000, "head.weight": 1_000}
        starts = (0, 235_200, 265_200)
        layers = (Layer(name, start, size) for (name, size), start in zip(sizes.items(), starts, strict=True))
        return ModelInfo(chosen.label, 266_610, tuple(layers))

    def first_step(self, chosen: ModelChoice, step: FirstStep) -> str:
        """Nothing would fail."""
        return ""

    def ask_score(self, chosen: ModelChoice, scoring: Scoring) -> None:
        """Every score applies."""


def study(phases: int, catalogue: Catalogue) -> Plan:
    """The study with about so many phases: with more seeds or fewer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_text(STUDY)
        seeds = tuple(range(max(2, round(phases / PHASES_OF_A_SEED))))
        return make_plan(config.load(file, catalogue, seeds=seeds), KnownSizes())


def measure() -> list[Row]:
    """The seconds for each size, and the memory for the largest."""
    catalogue = Catalogue.load()
    rows: list[Row] = []
    for size, target in SECONDS.items():
        found = []
        for _ in range(REPETITIONS[size]):
            began = time.process_time()
            planned = len(study(size, catalogue).phases)
            found.append((time.process_time() - began) * size / planned)
        low, _, high = statistics.quantiles(found, n=4)
        note = f"{planned:,} phases, scaled; {len(found)} times, middle half {low:.2f} to {high:.2f}"
        rows.append(_row(f"planning {size:,} phases", statistics.median(found), target, "s", note))
    largest = max(SECONDS)
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        peak = fresh.apply(peak_mib, (largest,))
    name = f"memory for planning {largest:,} phases"
    rows.append(_row(name, peak, MEMORY, "MiB", "peak of a fresh process, Python and the plugins included"))
    return rows


def peak_mib(phases: int) -> float:
    """The most memory that this process has had, the plan of such a study being the last of it."""
    study(phases, Catalogue.load())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _row(name: str, value: float, target: float, unit: str, note: str) -> Row:
    return {"name": name, "ratio": value, "target": target, "unit": unit, "note": note}


if __name__ == "__main__":
    show(measure())
