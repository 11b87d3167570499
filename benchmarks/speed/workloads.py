"""The two networks that steps are timed on, with data of the right shape, and the loop of prunebench around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.api.data import Resident
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.engine.environment import pin
from prunebench.engine.loop import Training
from prunebench.engine.masking import MaskedParameters
from prunebench.engine.numerics import forward_of, laid_out
from prunebench.kernels.selection import keep_highest
from prunebench.kernels.weight_units import WeightUnits, layer_weights
from prunebench.plan.specs import ComponentSpec, RecipeSpec
from prunebench_plugins.models.architectures.lenet import LeNet300100
from prunebench_plugins.tasks.classification import Classification, ClassificationConfig

BATCH = 128
MEAN, STD = 0.2, 0.3
RATES = [1.0] * 200_000
"""Multipliers of the learning rate: more than any measurement here takes steps."""


@dataclass(frozen=True)
class Workload:
    """A network with its data.

    Args:
        steps: between two looks at the clock.
    """

    name: str
    network: Callable[[], nn.Module]
    data: Resident
    steps: int


class Block(nn.Module):
    """Two convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """Images to images."""
        y = self.bn1(self.conv1(x)).relu()
        summed: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return summed.relu()


class ResNet8(nn.Module):
    """A residual network of three blocks on 32 x 32 x 3; narrow, so that what is not arithmetic shows."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2))
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def workloads() -> list[Workload]:
    """LeNet-300-100 on 60,000 images of MNIST's shape, and a small residual network on CIFAR-10's."""
    return [
        Workload("LeNet-300-100", LeNet300100, images(60_000, (1, 28, 28)), 100),
        Workload("ResNet-8", ResNet8, images(2_560, (3, 32, 32)), 4),
    ]


def images(size: int, shape: tuple[int, int, int]) -> Resident:
    """Images and labels at random, always the same."""
    # What the pixels show does not change what a step costs.
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (size,), generator=generator)
    return Resident(images, labels, (MEAN,) * shape[0], (STD,) * shape[0])


OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True),
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True),
}


def fresh(workload: Workload) -> nn.Module:
    """The network with the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return workload.network()


def our_loop(
    workload: Workload,
    optimizer: str,
    density: float | None = None,
    recipe: RecipeSpec | None = None,
    device: str = "cpu",
    graphed: bool = True,
) -> Training:
    """prunebench's loop, with or without a mask that keeps the largest `density` of the weights.

    Args:
        recipe: says in which variant the step is computed.
        graphed: see Training.
    """
    model = fresh(workload).to(device)
    if recipe is not None:
        laid_out(model, recipe)
    units = WeightUnits(model, layer_weights(model))
    masked = None
    if density is not None:
        masked = MaskedParameters(model, units, _largest(units, density))
        masked.zero_weights()
    return Training(
        model=model,
        optimizer=OPTIMIZERS[optimizer](model),
        rates=RATES,
        rates_start=0,
        train=workload.data.to(torch.device(device)),
        batch=BATCH,
        steps_per_epoch=workload.data.size // BATCH,
        streams=Streams(0, 1),
        task=Classification(ClassificationConfig()).prunebench_task(label_smoothing=0.0),
        units=units,
        masked=masked,
        terms=(),
        updates=(),
        max_gradient_norm=None,
        position=0,
        forward=None if recipe is None else forward_of(model, recipe),
        numerics="float32" if recipe is None else recipe.numerics,
        graphed=graphed,
    )


def recipe_with(**variant: Any) -> RecipeSpec:
    """A recipe of which only the variant of the step matters."""
    nothing = ComponentSpec("none", 1, {})
    plain: dict[str, Any] = {"numerics": "float32", "memory_format": "contiguous", "compile": False}
    return RecipeSpec(BATCH, len(RATES), nothing, (), 0.0, None, **{**plain, **variant})


def advancing(training: Training, steps: int) -> Callable[[], None]:
    """A function that takes a number of steps more, as between two points of a curve and with a worker's settings."""

    def work() -> None:
        pin("cpu", threads=1)
        training.advance(training.position + steps, lambda position, loss: None)
        # The other side of the comparison need not pay for them.
        torch.use_deterministic_algorithms(False)

    return work


def _largest(units: WeightUnits, density: float) -> Mask:
    scores = units.reduce(lambda name, weight: weight.abs())
    return Mask(keep_highest(scores.values, None, round(density * units.count)))
