"""A number of units that is not known before it is pruned: as many as leave a share of what the dense network costs.

Which units a score ranks last decides what is saved with them, so only the pruning itself can count them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

Cost: TypeAlias = Literal["parameters", "macs"]
"""What a network costs and a mask lowers: parameters, or multiply-accumulates of one example."""

COSTS: Mapping[Cost, str] = {"parameters": "parameters", "macs": "multiply-accumulates"}
"""The costs, in words."""

AXIS_OF: Mapping[Cost, str] = {"parameters": "density_all", "macs": "density_macs"}
"""The axis on which a share of each cost lies."""


def _unknown(self: CostShare, *others: object) -> Any:
    raise TypeError(
        f"it calculates with the units of a ticket, which only its pruning finds: as many as leave {self}; state "
        f'densities of units instead of `density_of = "{self.of}"`'
    )


@dataclass(frozen=True)
class CostShare:
    """As many units as leave `share` of a cost of the dense network, to the nearest unit.

    It stands where a plan has a number of units. What calculates with that number while planning gets a TypeError.

    Args:
        of: the cost.
        share: of that of the dense network, 0 < share < 1.
    """

    of: Cost
    share: float

    def __str__(self) -> str:
        return f"{self.share:g} of the {COSTS[self.of]}"

    def excess(self, cost: int, dense: int) -> Fraction:
        """By how much a cost is more than is asked for, exactly; below 0 where it is less."""
        return cost - Fraction(self.share) * dense

    __int__ = __float__ = __index__ = __round__ = _unknown
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unknown
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _unknown
    __lt__ = __le__ = __gt__ = __ge__ = _unknown


Count: TypeAlias = int | CostShare
"""Units that are to live: so many, or as many as leave a share of a cost."""
