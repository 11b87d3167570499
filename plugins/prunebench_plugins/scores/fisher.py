"""Fisher scores: by how much the loss changes, to second order, if a weight is removed from the trained network.

At an optimum the change is w^2 * h / 2, and the diagonal of the empirical Fisher information, E[g^2] with the labels of
the data, stands in for the Hessian's h. Batch norm uses its running statistics; examples are un-augmented.

Source: Theis et al. 2018 (Faster gaze prediction with dense networks and Fisher pruning), equations 8 to 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class FisherConfig(ComponentConfig):
    """`batch`, `batches`: the training examples that are looked at.

    `gradient`: whose square is averaged: that of each "sample" (the paper's), or that of each "batch", which is as much
    faster as the batch is large and about as many times smaller.
    """

    batch: int = Field(default=128, ge=1)
    batches: int = Field(default=1, ge=1)
    gradient: Literal["sample", "batch"] = "sample"


class Fisher:
    """Scores w^2 * E[g^2] / 2."""

    def __init__(self, config: FisherConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """w^2 * E[g^2] / 2 for every unit; a dead one's is 0, because its weight is."""
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe, zeros

        config = self._config
        twin = probe(model, "running")
        squares, count = zeros(twin), 0
        for inputs, targets in drawn(data, task, rng, config.batch, config.batches):
            part = 1 if config.gradient == "sample" else len(inputs)
            for start in range(0, len(inputs), part):
                some = slice(start, start + part)
                count += 1
                for name, gradient in gradients(twin, loss_of(twin, task, inputs[some], targets[some])).items():
                    squares[name].addcmul_(gradient, gradient)
        return units.reduce(lambda name, weight: weight.square() * (squares[name] / count) / 2)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `fisher`."""
    yield Component("fisher", FisherConfig, Fisher, version=1, paper="Theis et al. 2018")
