from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import rows, run
from torch import Tensor, nn

from prunebench.api.data import Data, DataInfo, ResidentTensors
from prunebench.api.errors import ContractError, PlanError
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.api.tickets import Pruned
from prunebench.kernels.weight_units import WeightUnits, layer_weights
from prunebench.testing import PruneContract, some_mask, task_of
from prunebench_plugins.pruning.sparsegpt import SparseGPT, SparseGPTConfig

CLASSES = task_of({"use": "classification"})
RNG = Streams(0, round=1).rng("prune")


class TestSparseGPT(PruneContract):
    component = {"use": "sparsegpt"}


class TestSparseGPTByMagnitude(PruneContract):
    component = {"use": "sparsegpt", "layers": "magnitude", "block": 3}


def published(weight: Tensor, hessian: Tensor, density: float, block: int, pattern: tuple[int, int] | None) -> Tensor:
    """One matrix as the authors' code prunes it (IST-DASLab/sparsegpt, fasterprune), the Hessian damped by 1 %."""
    weight, columns = weight.clone(), weight.shape[1]
    damp = 0.01 * torch.mean(torch.diag(hessian))
    hessian = hessian + damp * torch.eye(columns, dtype=hessian.dtype)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    for i1 in range(0, columns, block):
        i2 = min(i1 + block, columns)
        w1, h1 = weight[:, i1:i2].clone(), upper[i1:i2, i1:i2]
        q1, err1 = torch.zeros_like(w1), torch.zeros_like(w1)
        gone = torch.zeros_like(w1, dtype=torch.bool)
        if pattern is None:
            worth = w1**2 / torch.diag(h1) ** 2
            threshold = worth.flatten().sort().values[round(worth.numel() * (1 - density)) - 1]
            gone = worth <= threshold
        for i in range(i2 - i1):
            if pattern is not None and i % pattern[1] == 0:
                n, m = pattern
                worth = w1[:, i : i + m] ** 2 / torch.diag(h1)[i : i + m] ** 2
                gone.scatter_(1, i + torch.topk(worth, m - n, dim=1, largest=False).indices, True)
            q = w1[:, i].clone()
            q[gone[:, i]] = 0
            q1[:, i] = q
            err = (w1[:, i] - q) / h1[i, i]
            w1[:, i:] -= err.unsqueeze(1) @ h1[i, i:].unsqueeze(0)
            err1[:, i] = err
        weight[:, i1:i2] = q1
        weight[:, i2:] -= err1 @ upper[i1:i2, i2:]
    return weight


def images(count: int = 16, channels: int = 4, size: int = 6) -> Tensor:
    torch.manual_seed(1)
    mix = torch.randn(channels, channels, dtype=torch.float64)  # inputs that say something of each other
    return torch.einsum("oc,bchw->bohw", mix, torch.randn(count, channels, size, size, dtype=torch.float64))


def data_of(inputs: Tensor) -> Data:
    split = ResidentTensors(inputs, torch.zeros(len(inputs), dtype=torch.int64))
    return Data(DataInfo("images", "", {"train": len(inputs)}, tuple(inputs.shape[1:]), 2), {"train": split})


def pruned(model: nn.Module, inputs: Tensor, density: float, mask: Mask | None = None, **fields: Any) -> Pruned:
    config = SparseGPTConfig.model_validate({"batch": len(inputs), "batches": 1, **fields})
    units = WeightUnits(model, layer_weights(model))
    component = SparseGPT(config)
    count = component.prunebench_count(units.layers, round(density * units.count))
    alive = mask or Mask.full(units.layers)
    return component.prunebench_prune(model.eval(), data_of(inputs), CLASSES, units, alive, count, RNG)


@pytest.mark.parametrize(("density", "block"), [(0.5, 4), (0.5, 128), (0.25, 8)])
def test_a_linear_layer_is_pruned_as_the_authors_code_does(density: float, block: int) -> None:
    torch.manual_seed(0)
    inputs = images(64, 16, 1).flatten(1)
    model = nn.Sequential(nn.Linear(16, 8)).double()
    before = model.get_parameter("0.weight").detach().clone()
    expected = published(before, inputs.T @ inputs, density, block, None)
    found = pruned(model, inputs, density, block=block)
    torch.testing.assert_close(found.weights["0.weight"], expected, rtol=1e-8, atol=1e-10)
    assert found.mask.count == round(density * 128)


def test_a_pattern_of_a_linear_layer_is_pruned_as_the_authors_code_does() -> None:
    inputs = images(64, 16, 1).flatten(1)
    model = nn.Sequential(nn.Linear(16, 8)).double()
    before = model.get_parameter("0.weight").detach().clone()
    expected = published(before, inputs.T @ inputs, 0.5, 8, (2, 4))
    found = pruned(model, inputs, 0.5, block=8, pattern="2:4")
    torch.testing.assert_close(found.weights["0.weight"], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_each_group_of_a_convolution_is_a_product_with_its_own_patches(groups: int) -> None:
    inputs = images()
    model = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups)).double()
    before = model.get_parameter("0.weight").detach().reshape(groups, 8 // groups, -1)
    patches = nn.functional.unfold(inputs, 3, padding=1, stride=2)  # (images, channels * 9, places)
    patches = (
        patches.reshape(16, groups, -1, patches.shape[-1]).permute(1, 2, 0, 3).reshape(groups, before.shape[2], -1)
    )
    found = pruned(model, inputs, 0.5)
    new = found.weights["0.weight"].reshape(before.shape)
    keep = found.mask.keep[0].reshape(before.shape)
    for group, row in product(range(groups), range(8 // groups)):
        # The mask given, a row follows its own recursion.
        matrix = patches[group] @ patches[group].T
        matrix = matrix + 0.01 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=torch.float64)
        upper = torch.linalg.cholesky(torch.linalg.inv(matrix), upper=True)
        weight = before[group, row].clone()
        for column in range(len(weight)):
            if not keep[group, row, column]:
                weight[column:] -= weight[column] / upper[column, column] * upper[column, column:]
        torch.testing.assert_close(new[group, row], weight.masked_fill(~keep[group, row], 0.0), rtol=1e-7, atol=1e-9)


def test_a_pattern_of_a_convolution_has_n_of_every_m_channels_and_what_it_does_not_divide_stays() -> None:
    inputs = images()
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)).double()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    found = pruned(model, inputs, 0.5, pattern="2:4", rest="dense")
    assert "1.weight" not in found.weights
    assert bool(found.mask.keep[1].all())
    for index, name in ((0, "0.weight"), (2, "2.weight")):
        kept = found.mask.keep[index].reshape(before[name].shape)
        assert bool((kept.unflatten(1, (-1, 4)).sum(2) == 2).all())


def test_its_outputs_are_nearer_to_the_dense_ones_than_those_of_the_same_mask_alone() -> None:
    inputs = images()
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3)).double()
    dense = model(inputs).detach()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = pruned(model, inputs, 0.5)
    after = model(inputs).detach()
    masked = {
        **state,
        **{n: state[n] * k.reshape(state[n].shape) for n, k in zip(found.weights, found.mask.keep, strict=True)},
    }
    model.load_state_dict(masked)
    alone = model(inputs).detach()
    assert float((after - dense).square().sum()) < 0.7 * float((alone - dense).square().sum())


def test_what_is_dead_already_stays_dead_and_is_made_up_for() -> None:
    inputs = images(64, 16, 1).flatten(1)
    model = nn.Sequential(nn.Linear(16, 8)).double()
    mask = some_mask(WeightUnits(model, layer_weights(model)), 100)
    with torch.no_grad():
        model.get_parameter("0.weight").masked_fill_(~mask.keep[0].reshape(8, 16), 0.0)
    found = pruned(model, inputs, 60 / 128, mask)
    assert found.mask.count == 60
    assert found.mask.issubset(mask)


def test_a_layer_with_fewer_places_than_inputs_is_said_and_does_not_fail() -> None:
    inputs = images(4, 16, 1).flatten(1)
    found = pruned(nn.Sequential(nn.Linear(16, 8)).double(), inputs, 0.5)
    assert found.notes == (
        "1 layer was calibrated at fewer places than it has inputs (0.weight: 4 of 16), where the Hessian rests on "
        "its damping of 0.01",
    )
    assert bool(found.weights["0.weight"].isfinite().all())


def test_a_singular_hessian_without_damping_is_named_with_what_to_do() -> None:
    inputs = images(4, 16, 1).flatten(1)
    with pytest.raises(
        ContractError, match=r'the Hessian of layer "0.weight" is singular: 4 places .* state a `damping`'
    ):
        pruned(nn.Sequential(nn.Linear(16, 8)).double(), inputs, 0.5, damping=0)


def test_inputs_that_are_always_zero_make_nothing_singular() -> None:
    inputs = images(64, 16, 1).flatten(1)
    inputs[:, 3] = 0
    found = pruned(nn.Sequential(nn.Linear(16, 8)).double(), inputs, 0.5, damping=0)
    assert not bool(found.weights["0.weight"][:, 3].any())


def test_a_pattern_that_does_not_divide_a_layer_is_named() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 4))
    units = WeightUnits(model, layer_weights(model))
    with pytest.raises(
        PlanError, match=r'sparsegpt: layer "0.weight" has 6 inputs, which 4 does not divide; keep such'
    ):
        SparseGPT(SparseGPTConfig(pattern="2:4")).prunebench_count(units.layers, 40)


def test_no_more_than_one_layers_hessian_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench_plugins.pruning import _layers

    asked: list[str] = []
    real = _layers.hessian
    monkeypatch.setattr(_layers, "hessian", lambda inputs, name: (asked.append(name), real(inputs, name))[1])
    pruned(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 4, 3)).double(), images(), 0.5)
    assert asked == ["0.weight", "1.weight"]


def test_it_prunes_a_network_end_to_end_and_its_rows_have_its_notes(tmp_path: Path) -> None:
    entry = {"name": "imp", "prune": {"use": "sparsegpt", "batch": 4, "batches": 1}, "schedule": "lr-rewind"}
    changes = {"entry": [{"name": "dense", "units": "toy-units"}, entry]}
    outcome = run(tmp_path, changes)
    assert outcome.failed == {}
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert all("at fewer places than they have inputs" in row["note"] for row in rows(outcome, entry="imp"))
    assert not any("note" in row for row in rows(outcome, entry="dense"))
