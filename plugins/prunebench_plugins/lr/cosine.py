"""A learning rate that falls along half a cosine, from its peak at the start to its floor at the horizon.

Source: Loshchilov & Hutter 2017, equation 5 (without restarts).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl


class CosineConfig(ComponentConfig):
    """`floor`: the multiplier at the horizon."""

    floor: float = Field(default=0.0, ge=0, le=1)


class Cosine:
    """Multiplier floor + (1 - floor) * (1 + cos(pi * position / horizon)) / 2."""

    def __init__(self, config: CosineConfig) -> None:
        self._floor = config.floor

    @hookimpl
    def prunebench_lr(self, position: int, horizon: int) -> float:
        """The half cosine at `position`; 1 where the horizon is 0."""
        done = position / horizon if horizon else 0.0
        return self._floor + (1 - self._floor) * (1 + math.cos(math.pi * done)) / 2


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `cosine`."""
    yield Component("cosine", CosineConfig, Cosine, version=1, paper="Loshchilov & Hutter 2017")
