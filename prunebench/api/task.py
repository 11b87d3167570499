"""What a task is: the objective, how a batch becomes a network's input, what is measured. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsFloat, TypeAlias

from prunebench.api.info import DataInfo
from prunebench.api.provenance import MetricInfo as MetricInfo

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.data import Batch

LOSS = "loss"
"""The metric that every task has: the mean of its objective, better when lower. Early stopping goes by it."""

EARLY_STOP = "early_stop_"
"""Before the name of what is read off a run where early stopping would have ended it."""

STOPPED_AT = f"{EARLY_STOP}iteration"
"""The metric that says where that is."""

Metrics: TypeAlias = Mapping[str, MetricInfo]
"""How each metric of a task reads, by name; the first is the primary one."""

Objective: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""(outputs, targets) -> the mean loss of a batch, a scalar. Targets that are classes may be soft: a share for each."""

Totals: TypeAlias = "Mapping[str, Tensor]"
"""Sums over the batches of a split by name, in float64 on the CPU, each of the shape that contributions have."""


@dataclass(frozen=True)
class Contribution:
    """What one batch adds to the measurements of a split.

    Args:
        sums: sums over the batch by name: tensors on the device, or numbers that are known without looking there, such
            as how many examples there are. The engine adds them up over the batches in float64.
        correct: bool of shape (B,), whether each example is right; None where a task has no such notion. The primary
            metric is then its mean.
    """

    sums: Mapping[str, Tensor | float]
    correct: Tensor | None = None


def fits(outputs: object, data: DataInfo) -> str:
    """What is wrong with any outputs: nothing."""
    return ""


def unchanged(inputs: Tensor, targets: Tensor) -> Batch:
    """A batch as the split gave it."""
    return inputs, targets


@dataclass(frozen=True)
class Task:
    """What the networks of a run are trained for and measured by: plain callables that the step inlines.

    Args:
        objective: (outputs, targets) -> scalar tensor that the step differentiates.
        contribution: (outputs, targets) -> what a batch adds to the measurements; it does not wait for the device.
        values: sums over all batches of a split -> the value of each metric that `prunebench_metrics` names.
        example: the data's shape -> a batch of one as a network takes it, on the CPU: what shapes are traced, units are
            found and multiply-accumulates are counted with. Its values mean nothing.
        batch: (inputs, targets) of a split -> what the network takes, and the targets of what it gives.
        targets: the data's shape -> targets of the outputs on `example`, on the CPU; a step of training is tried with
            them while planning. None: only the network's passes are tried.
        misfit: (outputs of any number of examples, the data's shape) -> why the task cannot use such outputs; empty if
            it can. "the network gives a tuple"
    """

    objective: Objective
    contribution: Callable[[Tensor, Tensor], Contribution]
    values: Callable[[Totals], Mapping[str, SupportsFloat]]
    example: Callable[[DataInfo], Tensor]
    batch: Callable[[Tensor, Tensor], Batch] = unchanged
    targets: Callable[[DataInfo], Tensor] | None = None
    misfit: Callable[[object, DataInfo], str] = fits


def primary(metrics: Metrics) -> str:
    """The name of the metric that a leaderboard ranks by unless its file says otherwise."""
    return next(iter(metrics))


def all_metrics(metrics: Metrics) -> dict[str, MetricInfo]:
    """A task's metrics, and those that early stopping makes of them: how every name of an evaluation's rows reads."""
    first = primary(metrics)
    stopped = {STOPPED_AT: MetricInfo(unit="it", higher=False, low=0), EARLY_STOP + first: metrics[first]}
    return {**metrics, **stopped}
