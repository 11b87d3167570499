"""The straight line between two trained states, and the error along it.

Along a path every floating-point number of the state is interpolated, biases and normalisations too; counters are those
of the first end. What batch norm does there changes conclusions, so it is stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import ComponentConfig, ContractError, Figure, Measurement
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import State
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data, Gather
    from prunebench.api.task import Task

BATCH = 1_000
"""Images a batch, when measuring and when recalibrating."""

RECALIBRATION = 10_000
"""Images that batch norm's statistics are taken from anew."""


class PathConfig(ComponentConfig):
    """What an error is along a path.

    `split`: the images that it is measured on, `images` of them, evenly spaced; all where it is not stated. `bn`: the
    running statistics of batch norm are interpolated like the weights, or, at each point, taken anew from 10,000
    un-augmented, evenly spaced training images.
    """

    split: Literal["test", "valid", "train"] = "test"
    bn: Literal["interpolate", "recalibrate"] = "interpolate"
    images: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class Walk:
    """The error at evenly spaced points of a path, its two ends among them."""

    errors: Sequence[float]

    @property
    def alphas(self) -> list[float]:
        """Where they are: 0 at the first end, 1 at the second."""
        return [index / (len(self.errors) - 1) for index in range(len(self.errors))]

    @property
    def ends(self) -> float:
        """The mean error of the two ends."""
        return (self.errors[0] + self.errors[-1]) / 2

    @property
    def rise(self) -> float:
        """The largest error on the path over the mean of its ends; never below 0."""
        return max(self.errors) - self.ends


def walk(
    first: State, second: State, points: int, model: nn.Module, data: Data, task: Task, config: PathConfig
) -> Walk:
    """The error along the line from one state to another, at `points` points.

    The model is left with other weights, in evaluation mode.
    """
    errors = []
    for index in range(points):
        model.load_state_dict(between(first, second, index / (points - 1)))
        if config.bn == "recalibrate":
            recalibrate(model, data, task)
        errors.append(error(model, data, task, config))
    return Walk(errors)


def between(first: State, second: State, alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) first + alpha second, in double precision and rounded once: exactly the ends at 0 and 1."""
    return {
        name: ((1 - alpha) * a.double() + alpha * second[name].double()).to(a.dtype) if a.is_floating_point() else a
        for name, a in first.items()
    }


def error(model: nn.Module, data: Data, task: Task, config: PathConfig) -> float:
    """The share of the chosen examples that the model has wrong.

    Raises:
        ContractError: the task has no notion of a right example.
    """
    import torch

    from prunebench.kernels.batch_size import in_parts
    from prunebench.kernels.evaluation import evaluate

    split = data[config.split]
    count = split.size if config.images is None else min(config.images, split.size)
    model.eval()
    with torch.no_grad():
        _, correct = evaluate(in_parts(model), task, split.batches(in_batches(evenly_spaced(split.size, count))))
    if correct is None:
        raise ContractError("the error on a path is a share of examples, and this task has no right and wrong ones")
    return int((~correct).sum()) / count


def evenly_spaced(size: int, sample: int) -> Tensor:
    """The indices of a fixed sample; of all where that is no more than the sample."""
    import torch

    return torch.arange(size) if sample >= size else torch.arange(sample) * size // sample


def in_batches(indices: Tensor) -> Iterator[Gather]:
    """Un-augmented batches, in order."""
    from prunebench.api.data import Gather

    for start in range(0, indices.numel(), BATCH):
        yield Gather(indices[start : start + BATCH])


def recalibrate(model: nn.Module, data: Data, task: Task) -> None:
    """Take batch norm's running statistics anew: means over equal batches of what training would see there.

    Only normalisations are put into training mode, and only while it lasts: dropout stays off.
    """
    import torch

    from prunebench.api.data import Gather

    split = data["train"]
    indices = evenly_spaced(split.size, RECALIBRATION)
    batches = -(-indices.numel() // BATCH)
    with torch.no_grad(), averaging(model) as norms:
        if norms:
            # Each batch is spread over the sample, so that sorted images do not make batches of one class.
            for batch in split.batches(Gather(indices[first::batches]) for first in range(batches)):
                model(task.batch(*batch)[0])


@contextmanager
def averaging(model: nn.Module) -> Iterator[list[nn.Module]]:
    """The batch norms with running statistics, emptied and averaging over what they see; then as they were."""
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average over all batches, not one that forgets
        norm.train()
    yield list(norms)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def analysis(name: str, metric: str, walks: Mapping[int, tuple[str, Walk]], split: str, caption: str) -> Analysis:
    """The rise of each path under the name of a metric, and the mean error of its `ends`, by round; and the figure."""
    measurements = [
        Measurement(what, value, "fraction", round, split=split)
        for round, (_, path) in walks.items()
        for what, value in ((metric, path.rise), ("ends", path.ends))
    ]
    return Analysis(tuple(measurements), (figure(name, walks, split, name.replace("-", " "), caption),))


def figure(name: str, walks: Mapping[int, tuple[str, Walk]], split: str, rise: str, caption: str) -> Figure:
    """By round, a path with its label: the errors along some of the paths, and the rise of each over the rounds."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(9.0, 3.8)
    left, right = picture.subplots(1, 2)
    rounds = sorted(walks)
    chosen = [rounds[i] for i in _figures.evenly(len(rounds), _figures.PANELS)]
    for round, colour in zip(chosen, _figures.in_order(len(chosen)), strict=True):
        label, path = walks[round]
        left.plot(path.alphas, path.errors, marker=".", color=colour, label=label)
    left.set_xlabel("place on the path, from the first end to the second")
    left.set_ylabel(f"{split} error")
    right.plot(rounds, [walks[round][1].rise for round in rounds], marker=".", color="black")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(rounds) == 1:
        right.set_xlim(rounds[0] - 1, rounds[0] + 1)
    right.set_xlabel("round")
    right.set_ylabel(rise)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.set_ylim(bottom=0)
    _figures.legend_below(picture, left)
    return Figure(name, _figures.to_svg(picture, name), caption)
