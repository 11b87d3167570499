"""A share of any learning rate, so that one entry can find its tickets at a quarter of whatever rate a network has."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl


class ScaleConfig(ComponentConfig):
    """`factor`: what the rate is multiplied with."""

    factor: float = Field(examples=[0.25], gt=0, allow_inf_nan=False)


class Scale:
    """Multiplies what it wraps by `factor`, at every position."""

    def __init__(self, config: ScaleConfig) -> None:
        self._factor = config.factor

    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Generator[None, float, float]:
        """The wrapped multiplier times the factor."""
        multiplier = yield
        return multiplier * self._factor


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `scale`."""
    yield Component("scale", ScaleConfig, Scale, version=1)
