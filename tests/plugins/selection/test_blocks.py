from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench import PlanError
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Scores, Units
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import SelectContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.selection.blocks import Blocks, BlocksConfig


class TestBlocks(SelectContract):
    """3 x 2 tiles 6 x 8 and 3 x 6."""

    component = {"use": "blocks", "shape": [3, 2]}

    def alive(self, units: Units, count: int) -> Mask:
        scores = Scores(tuple(torch.arange(float(layer.count)) for layer in units.layers))
        return Blocks(BlocksConfig(shape=(3, 2))).prunebench_select(
            scores, units, Mask.full(units.layers), count // 6 * 6
        )

    def counts(self, mask: Mask) -> Iterator[int]:
        yield from range(6, mask.count + 1, 6)

    def test_ties_within_a_layer_fall_to_the_lower_unit(self) -> None:
        """Of blocks, and not of units."""
        units = self.units(self.model())
        tied = Scores(tuple(torch.zeros(layer.count) for layer in units.layers))
        chosen = self.selected(tied, Mask.full(units.layers), 12)
        assert chosen.keep[0].reshape(6, 8)[:3, : 2 * chosen.counts[0] // 6].all()
        assert chosen.keep[1].reshape(3, 6)[:3, : 2 * chosen.counts[1] // 6].all()


class TestBlocksOfEachLayer(TestBlocks):
    component = {"use": "blocks", "shape": [3, 2], "share": "uniform"}


def test_the_blocks_with_the_highest_sums_stay_whole() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Linear(12, 16))
    units = WeightUnits(model, {"0.weight": "conv", "1.weight": "linear"})
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    select = Blocks(BlocksConfig(shape=(4, 6)))
    count = select.prunebench_count(units.layers, units.count // 2)
    assert count == 240
    chosen = select.prunebench_select(scores, units, Mask.full(units.layers), count)
    sums, kept = [], []
    for layer, keep, values in zip(units.layers, chosen.keep, scores.values, strict=True):
        matrix, alive = values.reshape(layer.shape[0], -1), keep.reshape(layer.shape[0], -1)
        for row, column in product(range(0, matrix.shape[0], 4), range(0, matrix.shape[1], 6)):
            block = alive[row : row + 4, column : column + 6]
            assert bool(block.all()) or not bool(block.any())
            sums.append(float(matrix[row : row + 4, column : column + 6].sum()))
            kept.append(bool(block.all()))
    assert sum(kept) == 10
    assert min(s for s, k in zip(sums, kept, strict=True) if k) > max(
        s for s, k in zip(sums, kept, strict=True) if not k
    )


def test_a_layer_that_blocks_do_not_tile_is_named_or_stays_dense() -> None:
    layers = weight_units(two_layer_net()).layers
    with pytest.raises(PlanError, match=r'layer "fc2.weight" is a matrix of 3 x 6, which blocks of 2 x 2 do not tile'):
        Blocks(BlocksConfig(shape=(2, 2))).prunebench_count(layers, 33)
    dense = Blocks(BlocksConfig(shape=(2, 2), rest="dense"))
    assert dense.prunebench_count(layers, 33) == 18 + 16
    with pytest.raises(PlanError, match="leave no block of 4"):
        dense.prunebench_count(layers, 18)
    with pytest.raises(PlanError, match="no layer fits; use another pattern"):
        Blocks(BlocksConfig(shape=(5, 5), rest="dense")).prunebench_count(layers, 33)


def test_a_mask_of_another_selection_is_refused() -> None:
    units = weight_units(two_layer_net())
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    with pytest.raises(ContractError, match="blocks: whole blocks of 3 x 2 cannot make up 12 units"):
        Blocks(BlocksConfig(shape=(3, 2))).prunebench_select(scores, units, some_mask(units, 40), 12)


def test_it_prunes_a_network_to_whole_blocks(tmp_path: Path) -> None:
    entry = {"name": "imp", "schedule": "one-shot", "select": {"use": "blocks", "shape": [3, 2]}}
    outcome = run(tmp_path, {"entry": [entry]}, cut=0.54, rounds=1)
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert {row["density"] for row in rows(outcome, entry="imp")} == {30 / 66}
