"""Activity scores: a weight is worth its magnitude times how often what it reads is not zero, on calibration images.

It shows how a score looks at data: `drawn` gives training examples as the task makes them, and `LayerInputs` what each
layer multiplies its weight with.

Source: an example of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class ActivityConfig(ComponentConfig):
    """`batch`, `batches`: the training examples that are looked at."""

    batch: int = Field(default=32, ge=1)
    batches: int = Field(default=2, ge=1)


class Activity:
    """Scores |w| * the share of places at which its input is not 0."""

    def __init__(self, config: ActivityConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """One score per unit, from one pass over the calibration images."""
        from prunebench.kernels.calibration import LayerInputs, as_matrices, drawn

        inputs = (taken for taken, _ in drawn(data, task, rng, self._config.batch, self._config.batches))
        names = [layer.name for layer in units.layers]
        calibration = LayerInputs("score activity", model, inputs, names)
        active: dict[str, Tensor] = {}
        places: dict[str, int] = {}

        def see(name: str, columns: Tensor) -> None:
            active[name] = active.get(name, 0) + (columns != 0).sum(-1)
            places[name] = places.get(name, 0) + columns.shape[-1]

        calibration.look(names, see)

        def score(name: str, weight: Tensor) -> Tensor:
            share = active[name][:, None, :] / places[name]
            return (as_matrices(weight.abs(), calibration.groups[name]) * share).reshape(weight.shape)

        return units.reduce(score)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `activity`."""
    yield Component("activity", ActivityConfig, Activity, version=1, paper="an example")
