"""A learning rate that falls by a factor at stated positions.

Source: He et al. 2016, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock


class MilestonesConfig(ComponentConfig):
    """`at`: positions in increasing order; `factor`: what the rate is multiplied with at each of them."""

    at: tuple[Position, ...] = Field(min_length=1, examples=[["91ep", "136ep"]])
    factor: float = Field(default=0.1, gt=0, allow_inf_nan=False)

    @field_validator("at")
    @classmethod
    def _in_order(cls, at: tuple[Position, ...]) -> tuple[Position, ...]:
        # Two shares of a short horizon may round to one iteration, so equal iterations are no mistake.
        for earlier, later in pairwise(at):
            if earlier.unit == later.unit and earlier.amount > later.amount:
                raise ValueError(f'positions must increase, and "{later}" comes after "{earlier}"')
        return at


class Milestones:
    """Multiplier factor ** (milestones reached)."""

    def __init__(self, config: MilestonesConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_lr(self, position: int) -> float:
        """The factor, once for each milestone at or before `position`."""
        clock = Clock(steps_per_epoch=1)
        return float(self._config.factor ** sum(position >= at.iterations(clock) for at in self._config.at))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `milestones`."""
    yield Component("milestones", MilestonesConfig, Milestones, version=1, paper="He et al. 2016")
