"""Repetition: the pieces above start over again and again.

Source: Renda et al. 2020, section 2 (learning-rate rewinding repeats a schedule); the pruning-mechanism paper,
section 2.2.2 (small networks train for the total of epochs that the pruned ones had, the whole schedule repeated).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock


class RepeatConfig(ComponentConfig):
    """`every`: how long one repetition takes, and so the horizon that the pieces above see."""

    every: Position = Field(examples=["10ep"])

    @field_validator("every")
    @classmethod
    def _takes_time(cls, every: Position) -> Position:
        if every.amount == 0:
            raise ValueError(f'"{every}" would repeat nothing')
        return every


class Repeat:
    """Sets the clock of the pieces above back to 0 after each repetition."""

    def __init__(self, config: RepeatConfig) -> None:
        self._every = config.every

    @hookimpl
    def prunebench_clock(self, position: int, horizon: int) -> tuple[int, int]:
        """The place within a repetition; the end of the last one is its own horizon, not a new start."""
        every = self._every.iterations(Clock(steps_per_epoch=1))
        within = position % every
        return (every if position == horizon and within == 0 else within), every

    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Generator[None, float, float]:
        """What the pieces above give: it is their clock that changes, not the rate."""
        multiplier = yield
        return multiplier


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `repeat`."""
    yield Component("repeat", RepeatConfig, Repeat, version=1, paper="Renda et al. 2020")
