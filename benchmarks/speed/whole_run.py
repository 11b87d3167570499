"""All that a run does in a process that is warm, against a bare loop with the same steps and the same measurements.

LeNet-300-100 on MNIST: a dense network and three tickets, 1,000 iterations of Adam each, measured every 100 on all
splits, 10,000 images of each at most. ResNet-20 on CIFAR-10: a dense network and one ticket, 40 iterations of SGD each,
measured every 10 on 2,000 images. The run plans, reads the data, trains, prunes, measures,
checkpoints and stores; the bare loop reads the data and does the same number of steps and of passes, and keeps nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor, nn
from torch.nn import functional

from prunebench import runner
from prunebench.api.random import Rng
from prunebench.components.managers import run_manager
from prunebench.runner.preparing import Options, data_root, prepare
from prunebench_plugins.models.architectures.cifar_resnet import cifar_resnet20
from prunebench_plugins.models.architectures.lenet import LeNet300100

TARGET = 1.15
MEASURED = 10_000
"""Images of a split, at most."""
FILE = """
schema = 1
seeds = [0]
cut = 0.2
rounds = {rounds}
data = {data}
model = {{ name = "{model}" }}
train = {{ horizon = "{steps}it", batch = {batch}, optimizer = {optimizer} }}
measure = {{ every = "{every}it", splits = {measured} }}
report = {{ metric = "{judged}/accuracy" }}
execution = {{ workers = 0, device = "cpu" }}

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""


@dataclass(frozen=True)
class Study:
    """What is run, by both.

    Args:
        parts: images that the bare loop measures at a time: those at which it is fastest here.
    """

    label: str
    data: str
    model: str
    network: Callable[[], nn.Module]
    optimizer: str
    bare_optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    rounds: int
    steps: int
    every: int
    batch: int
    parts: int
    pairs: int
    splits: tuple[str, ...] = ("train", "valid", "test")

    @property
    def file(self) -> str:
        """The benchmark file."""
        names = ("rounds", "data", "model", "steps", "batch", "optimizer", "every")
        return FILE.format(
            measured=list(self.splits), judged=self.splits[-1], **{name: getattr(self, name) for name in names}
        )


LENET = Study(
    "LeNet-300-100 on MNIST",
    '"mnist"',
    "lenet_300_100",
    LeNet300100,
    '{ use = "adam", lr = 1.2e-3 }',
    lambda model: torch.optim.Adam(model.parameters(), lr=1.2e-3, fused=True),
    rounds=3,
    steps=1_000,
    every=100,
    batch=60,
    parts=1_000,
    pairs=5,
)
RESNET = Study(
    "ResNet-20 on CIFAR-10",
    '{ use = "cifar10", valid = 2_000 }',
    "cifar_resnet20",
    partial(cifar_resnet20, num_classes=10),
    '{ use = "sgd", lr = 0.1, momentum = 0.9 }',
    lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True),
    rounds=1,
    steps=40,
    every=10,
    batch=128,
    parts=50,
    pairs=3,
    splits=("valid",),
)


def measure() -> list[Row]:
    """A line for each."""
    return [_compared(study) for study in (LENET, RESNET)]


def _compared(study: Study) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.toml")
        file.write_text(study.file)
        stores = count()
        ratios = pair_ratios(
            lambda: _run(file, Path(folder, f"store-{next(stores)}"), study), partial(_bare, file, study), study.pairs
        )
    note = f"of a bare loop that steps and measures as often, {study.rounds + 1} x {study.steps:,} iterations"
    return row(f"a run, {study.label}", ratios, TARGET, note)


def _run(file: Path, store: Path, study: Study) -> None:
    outcome = runner.run(prepare(Options(file, store=store)))
    if outcome.failed or outcome.status.runs_distinct != study.rounds + 1:
        raise AssertionError(f"{outcome.status.runs_distinct} runs; failed: {outcome.failed}")


def _bare(file: Path, study: Study) -> None:
    benchmark = prepare(Options(file, store=file.parent / "plans")).benchmark
    use = benchmark.entries[0].data[0].use
    data = run_manager([use]).hook.prunebench_data(root=data_root(), rng=Rng("bare"))
    train = data["train"]
    splits = {name: (_normalised(data[name].images[:MEASURED], train), data[name].labels) for name in study.splits}
    for _ in range(study.rounds + 1):
        model = study.network()
        optimizer = study.bare_optimizer(model)
        order = torch.randperm(len(train.labels))
        for step in range(study.steps):
            if step % study.every == 0:
                _measure(model, splits, study.parts)
            start = step * study.batch % (len(order) - study.batch)
            chosen = order[start : start + study.batch]
            optimizer.zero_grad()
            outputs = model(_normalised(train.images.index_select(0, chosen), train))
            functional.cross_entropy(outputs, train.labels.index_select(0, chosen)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _measure(model, splits, study.parts)


def _normalised(images: Tensor, split: Any) -> Tensor:
    mean, std = torch.tensor(split.mean).view(-1, 1, 1), torch.tensor(split.std).view(-1, 1, 1)
    return images.float().mul_(1 / (255 * std)).sub_(mean / std)


@torch.no_grad()
def _measure(model: nn.Module, splits: dict[str, tuple[Tensor, Tensor]], parts: int) -> None:
    model.eval()
    for images, labels in splits.values():
        for start in range(0, len(images), parts):
            outputs = model(images[start : start + parts])
            wanted = labels[start : start + parts]
            functional.cross_entropy(outputs, wanted, reduction="sum").item()
            int((outputs.argmax(1) == wanted).sum())
    model.train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
