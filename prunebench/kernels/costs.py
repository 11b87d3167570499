"""What a network costs, dense and under masks, and the mask that comes nearest to a share of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from prunebench.api.cost_share import Cost, CostShare
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Units
from prunebench.kernels.macs import MacsCounter

if TYPE_CHECKING:
    from torch import Tensor, nn


class Counter(Protocol):
    """Counts one cost of one network."""

    @property
    def dense(self) -> int:
        """Of the whole network."""
        ...

    def under(self, mask: Mask) -> int:
        """Of what a mask leaves."""
        ...


class ParameterCounter:
    """Counts the values of a network's parameters that are not masked."""

    def __init__(self, model: nn.Module, units: Units) -> None:
        self._units = units
        self.dense = sum(parameter.numel() for parameter in model.parameters())

    def under(self, mask: Mask) -> int:
        """Of what a mask leaves."""
        return self.dense - sum(int((~keep).sum()) for keep in self._units.expand(mask).values())


def counter_of(of: Cost, model: nn.Module, example: Tensor, units: Units) -> Counter:
    """What counts a cost; `example` is a batch of one as the network takes it."""
    return ParameterCounter(model, units) if of == "parameters" else MacsCounter(model, example, units)


@dataclass(frozen=True)
class _Tried:
    mask: Mask
    excess: Fraction


def mask_at_share(
    share: CostShare, alive: Mask, layers: Sequence[Layer], select: Callable[[int], Mask | None], counter: Counter
) -> Mask | None:
    """Of the masks that `select` makes for numbers of units, the one whose cost comes nearest to a share.

    Found by bisection: the numbers that are left in the end are neighbours, one with at most the share and one with
    more. Where the cost rises with the number, as it does for nested masks, no other number comes nearer. Of two that
    are as near, the smaller network.

    Args:
        alive: what `select` chooses from; kept whole if it costs no more than the share.
        layers: those of the units, whose floors stay.
        select: a mask of so many of the units alive, or about so many; None if it has none for this number.
    Returns: None if even the fewest units that `select` takes cost more than the share.
    """
    above = _Tried(alive, share.excess(counter.under(alive), counter.dense))
    if above.excess <= 0:
        return alive
    below: _Tried | None = None
    least = sum(min(layer.floor, living) for layer, living in zip(layers, alive.counts, strict=True))
    low, high = max(0, least - 1), alive.count
    while high - low > 1:
        middle = (low + high) // 2
        mask = select(middle)
        if mask is None:
            low = middle
            continue
        tried = _Tried(mask, share.excess(counter.under(mask), counter.dense))
        if tried.excess > 0:
            high, above = middle, tried
        else:
            low, below = middle, tried
    if below is None:
        return None
    return min(below, above, key=lambda tried: abs(tried.excess)).mask
