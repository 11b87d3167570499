"""Reading a benchmark file and planning 10,000 phases: what `check` and `plan` do for a large study."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from interleave import Row, show

from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.benchmark import load as config
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import make_plan

TARGET = 2.0
PHASES = 10_000
REPETITIONS = 7

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

    def weights(self, chosen: ModelChoice, data: DataInfo) -> str:
        """No network starts from a file."""
        raise NotImplementedError

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        """Three layers."""
        sizes = {"fc1.weight": 235_200, "fc2.weight": 30_000, "head.weight": 1_000}
        starts = (0, 235_200, 265_200)
        layers = (Layer(name, start, size) for (name, size), start in zip(sizes.items(), starts, strict=True))
        return ModelInfo(chosen.label, 266_610, tuple(layers))


def measure() -> list[Row]:
    """One line, in seconds for 10,000 phases."""
    catalogue = Catalogue.load()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_text(STUDY)
        seconds = []
        for _ in range(REPETITIONS):
            began = time.process_time()
            plan = make_plan(config.load(file, catalogue), KnownSizes())
            seconds.append((time.process_time() - began) * PHASES / len(plan.phases))
    low, _, high = statistics.quantiles(seconds, n=4)
    note = (
        f"{len(plan.phases):,} phases in {len(plan.trials)} trials, scaled to {PHASES:,}; {REPETITIONS} times, "
        f"middle half {low:.2f} to {high:.2f}"
    )
    return [
        {
            "name": "planning 10,000 phases",
            "ratio": statistics.median(seconds),
            "target": TARGET,
            "unit": "s",
            "note": note,
        }
    ]


if __name__ == "__main__":
    show(measure())
