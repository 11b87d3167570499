from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import rows, run
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, some_mask, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.fisher import Fisher, FisherConfig

CLASSES = task_of({"use": "classification"})

WEIGHTS = ("fc1.weight", "fc2.weight")
RNG = Streams(0, round=1).rng("score")


class TestFisher(ScoreContract):
    component = {"use": "fisher"}


class TestFisherOfBatches(ScoreContract):
    component = {"use": "fisher", "gradient": "batch", "batch": 20, "batches": 6}


def scored(model: nn.Module, **fields: Any) -> Tensor:
    config = FisherConfig.model_validate(fields)
    return Fisher(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), RNG).flat()


def test_scores_are_those_of_the_gradient_of_each_sample() -> None:
    model = two_layer_net().double().eval()
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(model, weights, (image[None],)), label[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images.double(), labels)
    expected = torch.cat([(weights[n] ** 2 * (each[n] ** 2).mean(0) / 2).flatten() for n in WEIGHTS])
    torch.testing.assert_close(scored(model, batch=96), expected, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(scored(model, batch=24, batches=4), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("size", "batches"), [(24, 4), (32, 3)])
def test_the_gradient_of_a_batch_is_squared_after_its_mean(size: int, batches: int) -> None:
    model = two_layer_net().double().eval()
    order = torch.from_numpy(RNG.permutation(96, 0))
    gathers = [Gather(order[start : start + size]) for start in range(0, size * batches, size)]
    weights = [model.get_parameter(name) for name in WEIGHTS]
    squares = torch.zeros(66, dtype=torch.float64)
    for images, labels in ToyData().prunebench_data()["train"].batches(gathers):
        slopes = torch.autograd.grad(functional.cross_entropy(model(images.double()), labels), weights)
        squares += torch.cat([slope.flatten() for slope in slopes]) ** 2
    flat = torch.cat([weight.detach().flatten() for weight in weights])
    found = scored(model, batch=size, batches=batches, gradient="batch")
    torch.testing.assert_close(found, flat**2 * squares / batches / 2, rtol=1e-9, atol=1e-15)
    assert bool((found <= scored(model, batch=96) + 1e-15).all())


def test_dead_weights_score_nothing() -> None:
    model = two_layer_net().eval()
    units = weight_units(model)
    mask = some_mask(units, 30)
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)
    assert not bool(scored(model)[~mask.flat()].any())


@pytest.mark.parametrize("score", ["fisher", "taylor", "snip", "grasp"])
def test_scores_of_gradients_prune_a_network_end_to_end(tmp_path: Path, score: str) -> None:
    outcome = run(tmp_path, {"entry": [{"name": "imp", "score": score}]})
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert {row["density"] for row in rows(outcome, entry="imp")} == {53 / 66, 42 / 66}
