"""RigL: while a sparse network trains, its smallest weights give way to those with the steepest gradients.

Each layer keeps its number of units. The share that is exchanged falls along a cosine to 0. A weight that was dropped
in a step may be grown in the same one, and then stays as it is; others start at 0. The start is a random sparse ticket:
schedule `at-init`, score `random`. In the step of an exchange the optimizer goes on, too; in the paper it does not.

Source: Evci et al. 2020 (Rigging the lottery), section 3 and algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock
from prunebench.api.training import MaskUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Units


class RiglConfig(ComponentConfig):
    """`share`: how much of each layer's weights is exchanged at first (alpha). `every`: how often (delta T).

    `until`: no exchange from there on (T_end).
    """

    share: float = Field(default=0.3, gt=0, lt=1)
    every: Position = Position.parse("100it")
    until: Position = Position.parse("75%")


class Rigl:
    """Drops by magnitude, grows by the gradient."""

    def __init__(self, config: RiglConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_mask_updates(self, units: Units, horizon: int) -> list[MaskUpdate]:
        """Exchange the step's share of each layer's units, rounded down."""
        import torch

        from prunebench.api.masks import Mask
        from prunebench_plugins.mask_updates._exchange import highest, magnitudes, orderly

        clock = Clock(steps_per_epoch=1, horizon=horizon)
        every = max(1, self._config.every.iterations(clock))
        until = self._config.until.iterations(clock)

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            # A layer that no image passes has no gradient.
            slopes = units.reduce(
                lambda name, weight: gradients[name].abs() if name in gradients else torch.zeros_like(weight)
            )
            share = decayed(self._config.share, step, until)
            layers = []
            for size, slope, alive in zip(magnitudes(units), slopes.values, mask.keep, strict=True):
                living = int(alive.sum())
                exchanged = int(share * living)
                stays = highest(size, alive, living - exchanged)
                layers.append(stays | highest(orderly(slope), ~stays, exchanged))
            return Mask(tuple(layers))

        return [MaskUpdate(lambda step: step < until and step % every == 0, update)]


def decayed(share: float, step: int, until: int) -> float:
    """The share that is exchanged in a step: share / 2 * (1 + cos(pi * step / until)), 0 <= step < until."""
    return share / 2 * (1 + math.cos(math.pi * step / until))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `rigl`."""
    yield Component("rigl", RiglConfig, Rigl, version=1, paper="Evci et al. 2020")
