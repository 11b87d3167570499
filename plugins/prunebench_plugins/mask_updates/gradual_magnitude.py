"""Gradual magnitude pruning: while the network trains, the smallest weights go, many early and few late.

Between `start` and `end` the number of units falls along a cubic curve, from that of the run's first mask to the one
that is asked for. A pruned weight does not come back.

Source: Zhu & Gupta 2017 (To prune, or not to prune), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import model_validator

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock
from prunebench.api.training import MaskUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Units


class GradualMagnitudeConfig(ComponentConfig):
    """`start`, `end`: the window in which weights are pruned. `every`: how far apart prunings are."""

    start: Position = Position.parse("0it")
    end: Position = Position.parse("50%")
    every: Position = Position.parse("100it")

    @model_validator(mode="after")
    def _in_order(self) -> GradualMagnitudeConfig:
        if self.start.unit == self.end.unit and self.start.amount > self.end.amount:
            raise ValueError(f'`end` ("{self.end}") comes before `start` ("{self.start}")')
        return self


class GradualMagnitude:
    """Keeps the largest weights, fewer at each pruning."""

    def __init__(self, config: GradualMagnitudeConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_mask_updates(self, units: Units, mask: Mask, count: int, horizon: int) -> list[MaskUpdate]:
        """One global cut by |w| every so often; the last one, at `end` or in the last step, leaves exactly `count`."""
        from prunebench.api.masks import Mask
        from prunebench.kernels.selection import keep_highest
        from prunebench_plugins.mask_updates._exchange import cubic, magnitudes

        clock = Clock(steps_per_epoch=1, horizon=horizon)
        start, end, every = (
            position.iterations(clock) for position in (self._config.start, self._config.end, self._config.every)
        )
        last = min(end, horizon - 1)
        first_count = mask.count

        def due(step: int) -> bool:
            return step == last or (start <= step < last and (step - start) % max(every, 1) == 0)

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            kept = min(mask.count, cubic(first_count, count, start, last, step))
            return Mask(keep_highest(magnitudes(units), mask.keep, kept))

        return [MaskUpdate(due, update)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `gradual-magnitude`."""
    yield Component("gradual-magnitude", GradualMagnitudeConfig, GradualMagnitude, version=1, paper="Zhu & Gupta 2017")
