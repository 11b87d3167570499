from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from prunebench.api.data import Data, DataInfo, ResidentTensors
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.api.tickets import Pruned
from prunebench.kernels.weight_units import WeightUnits, layer_weights
from prunebench.testing import PruneContract, task_of
from prunebench_plugins.pruning.obc import Obc, ObcConfig, traced

CLASSES = task_of({"use": "classification"})


class TestObc(PruneContract):
    component = {"use": "obc"}


def pruned(model: nn.Module, inputs: Tensor, count: int, **fields: Any) -> Pruned:
    split = ResidentTensors(inputs, torch.zeros(len(inputs), dtype=torch.int64))
    data = Data(DataInfo("images", "", {"train": len(inputs)}, tuple(inputs.shape[1:]), 2), {"train": split})
    units = WeightUnits(model, layer_weights(model))
    config = ObcConfig.model_validate({"batch": len(inputs), "batches": 1, "damping": 0, **fields})
    rng = Streams(0, round=1).rng("prune")
    return Obc(config).prunebench_prune(model.eval(), data, CLASSES, units, Mask.full(units.layers), count, rng)


def correlated(count: int, size: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(count, size, dtype=torch.float64) @ torch.randn(size, size, dtype=torch.float64)


def loss_of(weight: np.ndarray, inputs: np.ndarray, keep: list[int]) -> float:
    """The squared error of the best that columns `keep` can do for one output, by numpy's least squares."""
    wanted = inputs @ weight
    if not keep:
        return float(wanted @ wanted)
    fit = np.linalg.lstsq(inputs[:, keep], wanted, rcond=None)[0]
    rest = wanted - inputs[:, keep] @ fit
    return float(rest @ rest)


def test_each_removal_costs_what_least_squares_says_and_is_the_cheapest() -> None:
    inputs = correlated(50, 7)
    weight = torch.randn(3, 7, dtype=torch.float64)
    costs, order = traced(weight, torch.ones(3, 7, dtype=torch.bool), torch.linalg.inv(inputs.T @ inputs))
    for row in range(3):
        left, before = list(range(7)), 0.0
        for step in range(7):
            options = {p: loss_of(weight[row].numpy(), inputs.numpy(), [q for q in left if q != p]) for p in left}
            cheapest = min(options, key=lambda p: options[p])
            assert int(order[row, step]) == cheapest
            assert float(costs[row, step]) == pytest.approx(options[cheapest] - before, rel=1e-6)
            left.remove(cheapest)
            before = options[cheapest]


class LargeTensors(TorchDispatchMode):
    """Counts the operations that make a new tensor of at least so many numbers."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.made = size, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        new = not func._schema.is_mutable and not any(r.alias_info for r in func._schema.returns)
        self.made += new and isinstance(result, Tensor) and result.numel() >= self.size
        return result


@pytest.mark.parametrize("columns", [5, 25])
def test_no_step_makes_new_matrices(columns: int) -> None:
    inputs = correlated(50, columns)
    with LargeTensors(3 * columns**2) as large:
        traced(torch.randn(3, columns).double(), torch.ones(3, columns).bool(), torch.linalg.inv(inputs.T @ inputs))
    assert large.made <= 2  # the rows' inverses, and what is taken off them


def test_survivors_are_the_least_squares_fit_to_the_dense_outputs() -> None:
    inputs = correlated(60, 8)
    model = nn.Sequential(nn.Linear(8, 5)).double()
    before = model.get_parameter("0.weight").detach().clone()
    found = pruned(model, inputs, 20)
    keep = found.mask.keep[0].reshape(5, 8)
    assert int(keep.sum()) == 20
    for row in range(5):
        at = keep[row].nonzero()[:, 0].tolist()
        fit = np.linalg.lstsq(inputs[:, at].numpy(), (inputs @ before[row]).numpy(), rcond=None)[0]
        np.testing.assert_allclose(found.weights["0.weight"][row, at].numpy(), fit, rtol=1e-6, atol=1e-9)


def test_rows_lose_what_the_merged_greedy_order_takes() -> None:
    inputs = correlated(60, 6)
    model = nn.Sequential(nn.Linear(6, 4)).double()
    before = model.get_parameter("0.weight").detach().clone().numpy()
    lost = dict.fromkeys(range(4), 0)
    orders = {}
    for row in range(4):
        left, costs, at = list(range(6)), [], 0.0
        while left:
            options = {p: loss_of(before[row], inputs.numpy(), [q for q in left if q != p]) for p in left}
            best = min(options, key=lambda p: options[p])
            costs.append(options[best] - at)
            left.remove(best)
            at = options[best]
        orders[row] = costs
    for _ in range(12):
        row = min((r for r in range(4) if lost[r] < 6), key=lambda r: orders[r][lost[r]])
        lost[row] += 1
    found = pruned(model, inputs, 12)
    assert [6 - int(kept) for kept in found.mask.keep[0].reshape(4, 6).sum(1)] == list(lost.values())


def test_greedy_is_near_the_best_mask_of_a_small_row() -> None:
    inputs = correlated(40, 8)
    model = nn.Sequential(nn.Linear(8, 1)).double()
    before = model.get_parameter("0.weight").detach().clone()[0].numpy()
    found = pruned(model, inputs, 4)
    at = found.mask.keep[0].nonzero()[:, 0].tolist()
    best = min(loss_of(before, inputs.numpy(), list(keep)) for keep in combinations(range(8), 4))
    magnitude = loss_of(before, inputs.numpy(), sorted(np.argsort(-np.abs(before))[:4].tolist()))
    assert best <= loss_of(before, inputs.numpy(), at) <= magnitude


def test_groups_of_a_convolution_are_fitted_to_their_own_patches() -> None:
    torch.manual_seed(0)
    images = torch.randn(20, 4, 5, 5, dtype=torch.float64)
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False)).double()
    before = model.get_parameter("0.weight").detach().clone()
    found = pruned(model, images, 16)
    for channel in range(4):
        patches = nn.functional.unfold(images[:, channel : channel + 1], 3).movedim(1, 2).reshape(-1, 9)
        at = found.mask.keep[0].reshape(4, 9)[channel].nonzero()[:, 0].tolist()
        wanted = patches @ before[channel].flatten()
        if at:
            fit = np.linalg.lstsq(patches[:, at].numpy(), wanted.numpy(), rcond=None)[0]
            np.testing.assert_allclose(found.weights["0.weight"][channel].flatten()[at].numpy(), fit, rtol=1e-6)
