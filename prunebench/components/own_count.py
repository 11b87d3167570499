"""How many units a selection takes that are about so many: not every pattern has every number."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.info import Layer
from prunebench.components.managers import accepts, call_planning_hook, implements


def own_count(select: BoundComponent, layers: Sequence[Layer], count: int, round: int) -> int | None:
    """The number of units nearest to `count` that a selection leaves, as it says itself; None if it has none there.

    A selection that does not ask for `count` leaves as many as it is asked for.
    """
    if not (implements(select.planner, "prunebench_count") and accepts(select.planner, "prunebench_count", "count")):
        return count
    arguments = {"cut": None, "round": round, "layers": layers, "count": count}
    try:
        own: int | None = call_planning_hook(select, "prunebench_count", **arguments)
    except PlanError:
        return None  # too few for a pattern
    return own
