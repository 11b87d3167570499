"""All that a run does in a process that is warm, against a bare loop with the same steps and the same measurements.

LeNet-300-100 on MNIST, a dense network and three tickets, 1,000 iterations of Adam each, measured every 100 on 10,000
training images and the two other splits. The run plans, reads the data, trains, prunes, measures, checkpoints and
stores; the bare loop reads the data and does the same number of steps and of passes, and keeps nothing.
"""

from __future__ import annotations

import tempfile
from functools import partial
from itertools import count
from pathlib import Path

import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor, nn
from torch.nn import functional

from prunebench import runner
from prunebench.components.managers import run_manager
from prunebench.runner.preparing import Options, data_root, prepare
from prunebench_plugins.models.architectures.lenet import LeNet300100

PAIRS, TARGET = 5, 1.15
FILE = """
schema = 1
seeds = [0]
cut = 0.2
rounds = 3
data = "mnist"
model = { name = "lenet_300_100" }
train = { horizon = "1000it", batch = 60, optimizer = { use = "adam", lr = 1.2e-3 } }
measure = { every = "100it" }
execution = { workers = 0, device = "cpu" }

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""
RUNS, STEPS, EVERY, BATCH = 4, 1_000, 100, 60


def measure() -> list[Row]:
    """One line."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.toml")
        file.write_text(FILE)
        stores = count()
        ratios = pair_ratios(lambda: _run(file, Path(folder, f"store-{next(stores)}")), partial(_bare, file), PAIRS)
    note = f"of a bare loop that steps and measures as often, {RUNS} x {STEPS:,} iterations"
    return [row("a run, LeNet-300-100 on MNIST", ratios, TARGET, note)]


def _run(file: Path, store: Path) -> None:
    outcome = runner.run(prepare(Options(file, store=store)))
    if outcome.failed or outcome.status.runs_distinct != RUNS:
        raise AssertionError(f"{outcome.status.runs_distinct} runs; failed: {outcome.failed}")


def _bare(file: Path) -> None:
    benchmark = prepare(Options(file, store=file.parent / "plans")).benchmark
    use = benchmark.entries[0].data[0].use
    from prunebench.api.random import Rng

    data = run_manager([use]).hook.prunebench_data(root=data_root(), rng=Rng("bare"))
    splits = {name: (_normalised(split.images), split.labels) for name, split in data.splits.items()}
    pixels, labels = data["train"].images, data["train"].labels
    for _ in range(RUNS):
        model = LeNet300100()
        optimizer = torch.optim.Adam(model.parameters(), lr=1.2e-3, fused=True)
        order = torch.randperm(len(labels))
        for step in range(STEPS):
            if step % EVERY == 0:
                _measure(model, splits)
            start = step * BATCH % (len(labels) - BATCH)
            chosen = order[start : start + BATCH]
            optimizer.zero_grad()
            outputs = model(_normalised(pixels.index_select(0, chosen)))
            functional.cross_entropy(outputs, labels.index_select(0, chosen)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _measure(model, splits)


def _normalised(images: Tensor) -> Tensor:
    return images.float().mul_(1 / (255 * 0.3081)).sub_(0.1307 / 0.3081)


@torch.no_grad()
def _measure(model: nn.Module, splits: dict[str, tuple[Tensor, Tensor]]) -> None:
    model.eval()
    for images, labels in splits.values():
        for start in range(0, min(10_000, len(labels)), 1_000):
            outputs = model(images[start : start + 1_000])
            wanted = labels[start : start + 1_000]
            functional.cross_entropy(outputs, wanted, reduction="sum").item()
            int((outputs.argmax(1) == wanted).sum())
    model.train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
