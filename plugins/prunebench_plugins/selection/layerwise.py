"""Layer-wise selection: every layer loses its own share of weights.

A rate multiplies the cut of a layer, so `rates = { "head*" = 0.5 }` cuts the output layer at half the cut. In rounds,
each with the chain's cut c, layer l of n_l units keeps round((1 - rate_l c) ** r * n_l) after round r. Where one cut
makes the whole way to a density (`one-shot`, or a file that gives densities alone) it keeps (1 - rate_l p) n_l, with
the p that makes the sum right: cut by 97 % at once LeNet keeps 51.5 % of its output layer, after 16 rounds of 20 % it
keeps 18.5 %.

Source: Frankle & Carbin 2019, section 2: "remove a percentage of the weights with the lowest magnitudes within each
layer [...]. Connections to outputs are pruned at half of the rate of the rest of the network." Section 1, step 3, calls
p the share that a one-shot cut prunes; figure 4c has cuts by p = 12.5, 25, ... 87.5 % at 87.5, 75.0, 62.6, 50.1, 37.6,
25.1 and 12.7 % of the weights, which are 265,200 (1 - p) + 1,000 (1 - p / 2) of LeNet's 266,200.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prunebench import Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.errors import nearest
from prunebench.api.info import Layer
from prunebench.kernels.shares import above_floors, best_of_each

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units


class LayerwiseConfig(ComponentConfig):
    """`rates`: by pattern of layer names, what multiplies the chain's cut there; 1 where no pattern matches."""

    rates: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


class Layerwise:
    """Cuts each layer on its own."""

    def __init__(self, config: LayerwiseConfig) -> None:
        self._rates = config.rates

    @hookimpl
    def prunebench_count(self, cut: float, round: int, layers: Sequence[Layer]) -> int:
        """The sum of what each layer keeps after `round` cuts of its own.

        Raises:
            PlanError: a pattern matches no layer, two disagree about one, a layer's cut reaches 1, or nothing lives.
        """
        counts = after_cuts(layers, self._layer_rates(layers), cut, round)
        if sum(counts) == 0:
            raise PlanError(f"layerwise: after round {round} no unit lives; ask for fewer rounds or a smaller cut")
        return sum(counts)

    @hookimpl
    def prunebench_select(
        self, scores: Scores, units: Units, mask: Mask, count: int, cut: float | None, round: int
    ) -> Mask:
        """The highest of each layer: as many as the round's own cuts leave where these sum to `count`.

        Otherwise (one cut to a density, or a mask that is not this chain's) `spread` solves one scalar cut.
        """
        rates = self._layer_rates(units.layers)
        alive = mask.counts
        kept = after_cuts(units.layers, rates, cut, round) if cut is not None else []
        if sum(kept) != count or any(k > a for k, a in zip(kept, alive, strict=True)):
            kept = spread([layer.count for layer in units.layers], alive, rates, count)
            kept = above_floors(kept, [layer.floor for layer in units.layers], alive)
        return best_of_each(scores, mask, kept)

    def _layer_rates(self, layers: Sequence[Layer]) -> list[Fraction]:
        names = [layer.name for layer in layers]
        for pattern in self._rates:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise PlanError(
                    f'layerwise: rates: "{pattern}" matches no layer that is pruned.{nearest(pattern, names)}'
                )
        rates = []
        for name in names:
            stated = {pattern: rate for pattern, rate in self._rates.items() if fnmatchcase(name, pattern)}
            # A table has no order in a key, so the first match must not win.
            if len(set(stated.values())) > 1:
                raise PlanError(f'layerwise: rates: layer "{name}" is given several rates, by {", ".join(stated)}')
            rates.append(Fraction(str(next(iter(stated.values()), 1))))
        return rates


def after_cuts(layers: Sequence[Layer], rates: Sequence[Fraction], cut: float, round_: int) -> list[int]:
    """Units that each layer keeps after `round_` rounds: round((1 - rate * cut) ** round_ * count), or its floor.

    Raises:
        PlanError: a layer's own cut is 1 or more.
    """
    counts = []
    for layer, rate in zip(layers, rates, strict=True):
        own = float(rate) * cut
        if own >= 1:
            raise PlanError(f'layerwise: rates: the cut of layer "{layer.name}" would be {own:g}; it must stay below 1')
        counts.append(max(layer.floor, round((1 - own) ** round_ * layer.count)))
    return counts


def spread(sizes: Sequence[int], alive: Sequence[int], rates: Sequence[Fraction], count: int) -> list[int]:
    """Share `count` units among layers with one scalar cut c: layer l keeps sizes[l] * (1 - rates[l] * c).

    No layer keeps more than is alive in it; what it cannot keep falls to the others. Fractions go to the layers with
    the largest remainders, ties to the earlier layer. Exact: the sum is `count` for 0 <= count <= sum(alive).
    """

    def left(c: Fraction) -> list[Fraction]:
        shares = (size * (1 - rate * c) for size, rate in zip(sizes, rates, strict=True))
        return [min(Fraction(a), max(Fraction(0), share)) for a, share in zip(alive, shares, strict=True)]

    # Between corners every layer is linear in c, so the cut is found by one exact interpolation.
    corners = {Fraction(0), *(1 / rate for rate in rates)}
    corners |= {(1 - Fraction(a, size)) / rate for a, size, rate in zip(alive, sizes, rates, strict=True)}
    for low, high in pairwise(sorted(corners)):
        most, least = sum(left(low)), sum(left(high))
        if least <= count <= most:
            along = Fraction(0) if most == least else Fraction(most - count) / (most - least)
            shares = left(low + along * (high - low))
            kept = [int(share) for share in shares]
            by_remainder = sorted(range(len(kept)), key=lambda layer: (kept[layer] - shares[layer], layer))
            for layer in by_remainder[: count - sum(kept)]:
                kept[layer] += 1
            return kept
    raise ValueError(f"{count} units were asked for, and {sum(alive)} are alive")


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `layerwise`."""
    yield Component("layerwise", LayerwiseConfig, Layerwise, version=1, paper="Frankle & Carbin 2019")
