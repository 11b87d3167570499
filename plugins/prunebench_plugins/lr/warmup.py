"""Linear warm-up around any learning rate.

Source: Goyal et al. 2017, section 2.2 (gradual warm-up); Frankle & Carbin 2019, section 4 (needed by deep tickets).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from pydantic import Field

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock


class WarmupConfig(ComponentConfig):
    """`over`: how long the rate takes to reach what it would be without warm-up."""

    over: Position = Field(examples=["1ep"])


class Warmup:
    """Multiplies what it wraps by (position + 1) / over while position < over."""

    def __init__(self, config: WarmupConfig) -> None:
        self._over = config.over

    @hookimpl(wrapper=True)
    def prunebench_lr(self, position: int) -> Generator[None, float, float]:
        """The wrapped multiplier, scaled down in the first iterations; the first one is never 0."""
        multiplier = yield
        over = self._over.iterations(Clock(steps_per_epoch=1))
        return multiplier * (position + 1) / over if position < over else multiplier


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `warmup`."""
    yield Component("warmup", WarmupConfig, Warmup, version=1, paper="Goyal et al. 2017")
