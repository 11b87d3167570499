"""Isomorphic selection: channels compete with those of layers that are built alike; each class keeps the same share.

Scores of unlike structures, such as the heads and the MLPs of a transformer, or depthwise and full convolutions, cannot
be compared. Two layers are alike if their channels own the same: as many parameters of each role, along the same
dimensions, one slice or several of each. Of single weights, layers are alike by kind, dimensions and whether depthwise.
Within a class the cut is global.

Source: Fang et al. 2024 (Isomorphic pruning for vision models), section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units


class Isomorphic:
    """Keeps the same share of each class of layers that are alike, and the highest of each class."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The highest of each class; fractions go to the largest remainders, ties to the earlier class or unit."""
        from prunebench.api.masks import Mask
        from prunebench.kernels.selection import keep_highest_above_floors
        from prunebench.kernels.shares import above_floors, shared

        classes = list(classes_of(units).values())
        sizes = [sum(units.layers[i].count for i in members) for members in classes]
        floors = [sum(units.layers[i].floor for i in members) for members in classes]
        alive = [sum(mask.counts[i] for i in members) for members in classes]
        counts = above_floors(shared(count, sizes, alive), floors, alive)
        keep = [kept & False for kept in mask.keep]
        for members, wanted in zip(classes, counts, strict=True):
            if wanted:
                chosen = keep_highest_above_floors(
                    [scores.values[i] for i in members],
                    [mask.keep[i] for i in members],
                    wanted,
                    [units.layers[i].floor for i in members],
                )
                for i, kept in zip(members, chosen, strict=True):
                    keep[i] = kept
        return Mask(tuple(keep))


def classes_of(units: Units) -> dict[tuple[object, ...], Sequence[int]]:
    """The places of the layers that are alike, in the order of the first of each class."""
    found: dict[tuple[object, ...], list[int]] = {}
    for index, (layer, members) in enumerate(zip(units.layers, units.members(), strict=True)):
        owned = sorted((member.role, member.dim, member.indices.shape[1] > 1) for member in members)
        structure = (layer.kind, *owned) if members else (layer.kind, len(layer.shape), layer.shape[1:2] == (1,))
        found.setdefault(structure, []).append(index)
    return {structure: tuple(members) for structure, members in found.items()}


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `isomorphic`."""
    yield Component("isomorphic", ComponentConfig, Isomorphic, version=1, paper="Fang et al. 2024")
