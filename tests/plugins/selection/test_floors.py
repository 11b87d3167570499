"""Floors: what a layer keeps whatever its units score."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench import ComponentConfig
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units
from prunebench.kernels.selection import keep_highest, keep_highest_above_floors
from prunebench.kernels.shares import above_floors
from prunebench_plugins.selection.global_ import Global
from prunebench_plugins.selection.layerwise import Layerwise, LayerwiseConfig
from prunebench_plugins.selection.uniform import Uniform


class Floored(Units):
    def __init__(self, counts: list[int], floors: list[int]) -> None:
        starts = [sum(counts[:i]) for i in range(len(counts))]
        layers = [Layer(str(s), s, c, floor=f) for s, c, f in zip(starts, counts, floors, strict=True)]
        self.layers = tuple(layers)

    def reduce(self, score: object) -> Scores:
        raise AssertionError("not asked for here")

    def expand(self, mask: Mask) -> dict[str, torch.Tensor]:
        return {}


LAYERS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=4)


@given(LAYERS, st.data())
def test_floors_are_kept_first_and_the_rest_is_the_best_of_the_others(
    layers: list[tuple[int, int]], data: st.DataObject
) -> None:
    scores = [torch.tensor(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))).float() for n, _ in layers]
    alive = [torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))) for n, _ in layers]
    floors = [floor for _, floor in layers]
    living = [int(keep.sum()) for keep in alive]
    least = sum(min(pair) for pair in zip(floors, living, strict=True))
    if not sum(living):
        return
    count = data.draw(st.integers(max(1, least), sum(living)))
    kept = keep_highest_above_floors(scores, alive, count, floors)
    # By hand: sorted by (not among the floor's best, score downwards, index).
    ranked = []
    for layer, (score, keep) in enumerate(zip(scores, alive, strict=True)):
        order = sorted((u for u in range(len(keep)) if keep[u]), key=lambda u, s=score: (-float(s[u]), u))
        ranked += [(place >= floors[layer], -float(score[u]), layer, u) for place, u in enumerate(order)]
    chosen = {(layer, u) for _, _, layer, u in sorted(ranked)[:count]}
    assert {(i, u) for i, keep in enumerate(kept) for u in keep.nonzero()[:, 0].tolist()} == chosen


def test_without_floors_it_is_the_kernel_itself() -> None:
    scores = [torch.tensor([1.0, 2.0, 2.0]), torch.tensor([2.0, 0.0])]
    alive = [torch.ones(3, dtype=torch.bool), torch.ones(2, dtype=torch.bool)]
    for count in range(1, 6):
        for a, b in zip(
            keep_highest(scores, alive, count), keep_highest_above_floors(scores, alive, count, [0, 0]), strict=True
        ):
            assert torch.equal(a, b)


def test_a_count_below_the_floors_is_an_error() -> None:
    alive = [torch.ones(3, dtype=torch.bool)]
    with pytest.raises(ValueError, match="floors need 2"):
        keep_highest_above_floors([torch.arange(3.0)], alive, 1, [2])
    with pytest.raises(ValueError, match="layer 0: a score is NaN"):
        keep_highest_above_floors([torch.tensor([0.0, float("nan"), 1.0])], alive, 2, [1])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=5))
def test_lifted_shares_keep_their_sum_and_stay_within_what_is_alive(layers: list[tuple[int, int, int]]) -> None:
    kept, alive = [min(a, b) for a, b, _ in layers], [max(a, b) for a, b, _ in layers]
    floors = [floor for _, _, floor in layers]
    least = [min(pair) for pair in zip(floors, alive, strict=True)]
    if sum(least) > sum(kept):
        with pytest.raises(ValueError, match="floors need"):
            above_floors(kept, floors, alive)
        return
    lifted = above_floors(kept, floors, alive)
    assert sum(lifted) == sum(kept)
    assert all(low <= share <= high for low, share, high in zip(least, lifted, alive, strict=True))
    if all(share >= low for share, low in zip(kept, least, strict=True)):
        assert lifted == kept


UNITS = Floored([4, 8], [2, 1])
SCORES = Scores((torch.zeros(4), torch.arange(1.0, 9.0)))
FULL = Mask.full(UNITS.layers)


def test_every_selection_honours_the_floors() -> None:
    assert Global(ComponentConfig()).prunebench_select(SCORES, UNITS, FULL, 5).counts == (2, 3)
    assert Uniform(ComponentConfig()).prunebench_select(SCORES, UNITS, FULL, 4).counts == (2, 2)
    layerwise = Layerwise(LayerwiseConfig())
    assert layerwise.prunebench_count(0.7, 1, UNITS.layers) == 2 + 2
    assert layerwise.prunebench_select(SCORES, UNITS, FULL, 4, 0.7, 1).counts == (2, 2)
    assert layerwise.prunebench_select(SCORES, UNITS, FULL, 3, None, 1).counts == (2, 1)
