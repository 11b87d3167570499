"""A constant learning rate: the base of a run that names no other."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench import Component, ComponentConfig, hookimpl


class Constant:
    """Multiplier 1 everywhere."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_lr(self) -> float:
        """1."""
        return 1.0


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `constant`."""
    yield Component("constant", ComponentConfig, Constant, version=1)
