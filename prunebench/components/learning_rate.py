"""The learning rate's multiplier from the pieces of a recipe. No torch.

A piece that maps the clock (`prunebench_clock`) does so for the pieces above it; those below wrap what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.marker import hookimpl
from prunebench.components.managers import implements, run_manager

Rate = Callable[[int, int], float]
"""(position, horizon), both in iterations -> multiplier of the base learning rate."""


def multiplier(uses: Sequence[BoundComponent]) -> Rate:
    """The multiplier that some components give together, in the order of the file.

    Raises:
        ContractError: two of them give a rate of their own.
    """
    mapping = [index for index, use in enumerate(uses) if implements(use.planner, "prunebench_clock")]
    if not mapping:
        hook = run_manager(uses).hook
        return lambda position, horizon: float(hook.prunebench_lr(position=position, horizon=horizon))
    above, mapper, below = uses[: mapping[-1]], uses[mapping[-1]], uses[mapping[-1] + 1 :]
    manager = run_manager([mapper, *below])
    manager.register(_Mapped(multiplier(above), manager.hook))
    return lambda position, horizon: float(manager.hook.prunebench_lr(position=position, horizon=horizon))


class _Mapped:
    """The rate of the pieces above, on the mapped clock."""

    def __init__(self, above: Rate, hook: Any) -> None:
        self._above, self._hook = above, hook

    @hookimpl
    def prunebench_lr(self, position: int, horizon: int) -> float:
        """Their multiplier, where the clock stands for them."""
        return self._above(*self._hook.prunebench_clock(position=position, horizon=horizon))
