"""Taylor scores: by how much the loss changes, to first order, if a weight is removed from the trained network.

Removal changes the loss of a batch by about g * w. Batch norm uses its running statistics; images are un-augmented.

Source: Molchanov et al. 2019 (Importance estimation for neural network pruning), equations 6 to 8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.data import Data
    from prunebench.masks import Scores, Units
    from prunebench.streams import Rng


class TaylorConfig(ComponentConfig):
    """`batch`, `batches`: the training images that are looked at.

    `change`: what is accumulated. "squared", the paper's: the mean of (g * w)^2 over batches. "absolute": the mean of
    |g * w| over batches. "total": (g * w)^2 of the mean gradient, in which batches may cancel.
    """

    batch: int = Field(default=128, ge=1)
    batches: int = Field(default=10, ge=1)
    change: Literal["squared", "absolute", "total"] = "squared"


class Taylor:
    """Scores the change of the loss, squared or absolute."""

    def __init__(self, config: TaylorConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, units: Units, rng: Rng) -> Scores:
        """The score of every unit; a dead one's is 0, because its weight is."""
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe, zeros

        config = self._config
        twin = probe(model, "running")
        sums = zeros(twin)
        for images, labels in drawn(data, rng, config.batch, config.batches):
            for name, gradient in gradients(twin, loss_of(twin, images, labels)).items():
                change = gradient * twin.get_parameter(name).detach()
                if config.change == "squared":
                    change = change.square()
                elif config.change == "absolute":
                    change = change.abs()
                sums[name] += change / config.batches
        if config.change == "total":
            return units.reduce(lambda name, weight: sums[name].square())
        return units.reduce(lambda name, weight: sums[name])


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `taylor`."""
    yield Component("taylor", TaylorConfig, Taylor, version=1, paper="Molchanov et al. 2019")
