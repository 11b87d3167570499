"""Magnitude scores under noise: how exact must a ranking be before a ticket suffers?

Source: an example of this package; the score under the noise is that of Han et al. 2015, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Scores, Units
    from prunebench.api.random import Rng


class MagnitudeNoiseConfig(ComponentConfig):
    """`spread`: the standard deviation of the noise, as a multiple of the layer's mean |w|; 0 is plain magnitude."""

    spread: float = Field(default=0.1, ge=0, allow_inf_nan=False)


class MagnitudeNoise:
    """Scores |w| + spread * mean(|w|) * N(0, 1)."""

    def __init__(self, config: MagnitudeNoiseConfig) -> None:
        self._spread = config.spread

    @hookimpl
    def prunebench_score(self, units: Units, rng: Rng) -> Scores:
        """One score per unit; the noise is drawn on the CPU, so it is the same on every device."""
        import torch

        def score(name: str, weight: Tensor) -> Tensor:
            magnitude = weight.abs()
            noise = torch.randn(weight.shape, generator=rng.child(name).torch())
            return magnitude + self._spread * magnitude.mean() * noise.to(weight)

        return units.reduce(score)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `magnitude-noise`."""
    yield Component("magnitude-noise", MagnitudeNoiseConfig, MagnitudeNoise, version=1, paper="an example")
