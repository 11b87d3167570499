"""How many units each layer keeps when a total is shared in proportion, and the best of each layer.

Source: Hamilton's method of largest remainders.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prunebench.api.info import Layer
    from prunebench.api.masks import Mask, Scores


def shared(count: int, weights: Sequence[int], alive: Sequence[int]) -> list[int]:
    """Share `count` units among layers in proportion to `weights`; no layer keeps more than is alive in it.

    What a layer cannot keep falls to the others in proportion; to layers of weight 0 only when all others are full.
    Fractions go to the layers with the largest remainders, ties to the earlier layer. Exact: the sum is `count`.

    Raises: ValueError unless 0 <= count <= sum(alive).
    """
    if not 0 <= count <= sum(alive):
        raise ValueError(f"{count} units were asked for, and {sum(alive)} are alive")
    shares = [Fraction(0)] * len(alive)
    left = Fraction(count)
    for ratio in (weights, [a if w == 0 else 0 for w, a in zip(weights, alive, strict=True)]):
        # Layers that fill up first come first, so that what they cannot keep is shared by those that follow.
        filling = sorted((x for x, w in enumerate(ratio) if w), key=lambda x: Fraction(alive[x], ratio[x]))
        weight = sum(ratio)
        for layer in filling:
            shares[layer] = min(Fraction(alive[layer]), left * ratio[layer] / weight)
            left -= shares[layer]
            weight -= ratio[layer]
    kept = [int(share) for share in shares]
    by_remainder = sorted(range(len(kept)), key=lambda layer: (kept[layer] - shares[layer], layer))
    for layer in by_remainder[: count - sum(kept)]:
        kept[layer] += 1
    return kept


def above_floors(kept: Sequence[int], floors: Sequence[int], alive: Sequence[int]) -> list[int]:
    """The shares with every layer lifted to its floor (or to all that is alive in it); the sum stays.

    What that takes comes, unit by unit, from the layer with the most above its floor, ties from the later layer.

    Raises: ValueError if the floors need more than there is.
    """
    least = [min(floor, living) for floor, living in zip(floors, alive, strict=True)]
    if sum(least) > sum(kept):
        raise ValueError(f"{sum(kept)} units were asked for, and the layers' floors need {sum(least)}")
    lifted = [max(share, floor) for share, floor in zip(kept, least, strict=True)]
    for _ in range(sum(lifted) - sum(kept)):
        giver = max(range(len(lifted)), key=lambda layer: (lifted[layer] - least[layer], layer))
        lifted[giver] -= 1
    return lifted


def best_of_each(scores: Scores, mask: Mask, counts: Sequence[int]) -> Mask:
    """The highest of the units alive in each layer, `counts` of them; ties fall to the lower unit index."""
    import torch

    from prunebench.api.masks import Mask
    from prunebench.kernels.selection import keep_highest

    return Mask(
        tuple(
            keep_highest((values,), (alive,), count)[0] if count else torch.zeros_like(alive)
            for values, alive, count in zip(scores.values, mask.keep, counts, strict=True)
        )
    )


def erk_weights(layers: Sequence[Layer], *, kernel: bool = True) -> list[int]:
    """For `shared`: the sum of the dimensions of each layer's weight, with those of its kernel or without.

    Source: Evci et al. 2020, section 3 (Erdos-Renyi-kernel), where the density of a layer is that sum over the product.
    """
    return [sum(layer.shape if kernel else layer.shape[:2]) or layer.count for layer in layers]
