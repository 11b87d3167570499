from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, state, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.taylor import Taylor, TaylorConfig

CLASSES = task_of({"use": "classification"})

WEIGHTS = ("fc1.weight", "fc2.weight")
RNG = Streams(0, round=1).rng("score")


class TestTaylor(ScoreContract):
    component = {"use": "taylor"}


class TestTaylorAbsolute(ScoreContract):
    component = {"use": "taylor", "change": "absolute", "batch": 20, "batches": 6}


class TestTaylorTotal(ScoreContract):
    component = {"use": "taylor", "change": "total"}


def scored(model: nn.Module, **fields: Any) -> Tensor:
    config = TaylorConfig.model_validate(fields)
    return Taylor(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), RNG).flat()


def contributions(model: nn.Module, size: int, batches: int) -> Tensor:
    """g * w of each batch, the order that of the stream: shape (batches, units)."""
    order = torch.cat([torch.from_numpy(RNG.permutation(96, epoch)) for epoch in range(4)])
    gathers = [Gather(order[start : start + size]) for start in range(0, size * batches, size)]
    weights = [model.get_parameter(name) for name in WEIGHTS]
    found = []
    for images, labels in ToyData().prunebench_data()["train"].batches(gathers):
        slopes = torch.autograd.grad(functional.cross_entropy(model(images.double()), labels), weights)
        found.append(torch.cat([(g * w).flatten() for g, w in zip(slopes, weights, strict=True)]).detach())
    return torch.stack(found)


@pytest.mark.parametrize(("size", "batches"), [(1, 96), (24, 4), (32, 7)])
def test_scores_are_those_of_a_loop_over_batches(size: int, batches: int) -> None:
    model = two_layer_net().double().eval()
    each = contributions(model, size, batches)
    expected = {"squared": (each**2).mean(0), "absolute": each.abs().mean(0), "total": each.mean(0) ** 2}
    for change, value in expected.items():
        found = scored(model, batch=size, batches=batches, change=change)
        torch.testing.assert_close(found, value, rtol=1e-9, atol=1e-15)


def test_batches_cancel_in_the_total_alone() -> None:
    model = two_layer_net().double().eval()
    total = scored(model, batch=1, batches=96, change="total")
    assert bool((total <= scored(model, batch=1, batches=96, change="squared") + 1e-15).all())
    assert float(total.sum()) < 0.9 * float(scored(model, batch=1, batches=96).sum())


def test_nothing_is_left_behind_in_the_network() -> None:
    model = two_layer_net().eval()
    model.get_parameter("fc1.weight").grad = torch.full((6, 8), 7.0)
    before = state(model)
    scored(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert bool((model.get_parameter("fc1.weight").grad == 7.0).all())  # type: ignore[union-attr]
    assert model.get_parameter("fc2.weight").grad is None
