"""SNIP: the weights that the loss feels most, before any training.

The sensitivity of a connection is |dL/dc| at c = 1, where c multiplies its weight: |g * w|. The paper divides by the
sum of all, which changes no order. Examples are un-augmented and drawn at random.

Source: Lee et al. 2019 (SNIP), equations 5 and 6.
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


class SnipConfig(ComponentConfig):
    """`batch`, `batches`: the loss is the mean over that many training examples; the paper takes one mini-batch.

    `batch_norm`: the statistics that batch norm uses; those of the "batch", as the paper's code, or the "running" ones,
    which before training are 0 and 1.
    """

    batch: int = Field(default=128, ge=1)
    batches: int = Field(default=1, ge=1)
    batch_norm: Literal["batch", "running"] = "batch"


class Snip:
    """Scores |g * w|, g the gradient of the mean loss of the masked network."""

    def __init__(self, config: SnipConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """|g * w| for every unit; a dead one's is 0, because its weight is."""
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe, zeros

        config = self._config
        twin = probe(model, config.batch_norm)
        total = zeros(twin)
        for inputs, targets in drawn(data, task, rng, config.batch, config.batches):
            for name, gradient in gradients(twin, loss_of(twin, task, inputs, targets)).items():
                total[name] += gradient
        return units.reduce(lambda name, weight: (total[name] / config.batches * weight).abs())


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `snip`."""
    yield Component("snip", SnipConfig, Snip, version=1, paper="Lee et al. 2019")
