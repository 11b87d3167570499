"""A learning rate that falls along a line, from its peak at the start to its floor at the horizon.

Source: Li et al. 2020 (Budgeted training), section 3: the schedule that retraining after pruning does best with (Zimmer
et al. 2023, How I learned to stop worrying and love retraining).
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl


class LinearConfig(ComponentConfig):
    """`floor`: the multiplier at the horizon."""

    floor: float = Field(default=0.0, ge=0, le=1)


class Linear:
    """Multiplier 1 - (1 - floor) * position / horizon."""

    def __init__(self, config: LinearConfig) -> None:
        self._floor = config.floor

    @hookimpl
    def prunebench_lr(self, position: int, horizon: int) -> float:
        """The line at `position`; 1 where the horizon is 0."""
        done = position / horizon if horizon else 0.0
        return 1 - (1 - self._floor) * done


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `linear`."""
    yield Component("linear", LinearConfig, Linear, version=1, paper="Li et al. 2020")
