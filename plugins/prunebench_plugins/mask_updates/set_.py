"""SET: while a sparse network trains, its smallest weights give way to as many random new ones.

Each layer keeps its number of units. New weights are drawn from those that were not there, and start at 0 (the engine's
rule; the paper draws small random values). The start is a random sparse ticket: schedule `at-init`, score `random`.

Source: Mocanu et al. 2018 (Scalable training of artificial neural networks with adaptive sparse connectivity), box 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock
from prunebench.api.training import MaskUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Units
    from prunebench.api.random import Rng


class SetConfig(ComponentConfig):
    """`share`: how much of each layer's weights is exchanged. `every`: how often; the paper does it once an epoch.

    `until`: no exchange from there on.
    """

    share: float = Field(default=0.3, gt=0, lt=1)
    every: Position = Position.parse("1ep")
    until: Position = Position.parse("100%")


class Set:
    """Drops by magnitude, grows at random."""

    def __init__(self, config: SetConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_mask_updates(self, units: Units, horizon: int, rng: Rng) -> list[MaskUpdate]:
        """Exchange `share` of each layer's units, rounded down, and no more than are not there."""
        import torch

        from prunebench.api.masks import Mask
        from prunebench_plugins.mask_updates._exchange import highest, magnitudes

        clock = Clock(steps_per_epoch=1, horizon=horizon)
        every = max(1, self._config.every.iterations(clock))
        until = self._config.until.iterations(clock)
        share = Fraction(str(self._config.share))  # 0.29 of 100 units are 29, which floats deny

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            layers = []
            for index, (size, alive) in enumerate(zip(magnitudes(units), mask.keep, strict=True)):
                living = int(alive.sum())
                exchanged = min(int(share * living), alive.numel() - living)
                new = highest(size, alive, living - exchanged)
                dead = (~alive).nonzero()[:, 0]
                order = torch.from_numpy(rng.permutation(len(dead), step, index))
                new[dead[order[:exchanged]]] = True
                layers.append(new)
            return Mask(tuple(layers))

        return [MaskUpdate(lambda step: 0 < step < until and step % every == 0, update)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `set`."""
    yield Component("set", SetConfig, Set, version=1, paper="Mocanu et al. 2018")
