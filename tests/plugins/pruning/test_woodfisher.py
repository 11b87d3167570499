import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.testing import PruneContract, ToyData, task_of, two_layer_net, weight_units
from prunebench_plugins.pruning.woodfisher import WoodFisher, WoodFisherConfig


class TestWoodFisher(PruneContract):
    component = {"use": "woodfisher", "gradients": 20, "block": 5}


class TestWoodFisherOfBatches(PruneContract):
    component = {"use": "woodfisher", "gradients": 4, "batch": 16, "update": False}


def test_scores_and_updates_are_those_of_the_inverse_of_each_block() -> None:
    model = two_layer_net().double().eval()
    units, damping = weight_units(model), 1e-3
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])

    def loss(weights, image, label):
        return functional.cross_entropy(functional_call(model, weights, (image[None],)), label[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(before, images.double(), labels)
    config = WoodFisherConfig(gradients=96, batch=1, block=6, damping=damping)
    found = WoodFisher(config).prunebench_prune(
        model, ToyData().prunebench_data(), task_of({"use": "classification"}), units, Mask.full(units.layers), 30,
        Streams(0, round=1).rng("prune"),
    )  # fmt: skip
    scores, inverses = [], {}
    for layer in units.layers:
        slopes, weight = each[layer.name].flatten(1), before[layer.name].flatten()
        for start in range(0, layer.count, 6):
            part = slopes[:, start : start + 6]
            inverse = torch.linalg.inv(damping * torch.eye(6, dtype=torch.float64) + part.T @ part / 96)
            inverses[layer.name, start] = inverse
            scores.append(weight[start : start + 6] ** 2 / (2 * inverse.diagonal()))
    flat = torch.cat(scores)
    assert set(found.mask.flat().nonzero()[:, 0].tolist()) == set(flat.argsort(descending=True)[:30].tolist())
    for layer, keep in zip(units.layers, found.mask.keep, strict=True):
        for start in range(0, layer.count, 6):
            weight = before[layer.name].flatten()[start : start + 6]
            gone = (~keep[start : start + 6]).nonzero()[:, 0]
            inverse = inverses[layer.name, start]
            expected = weight - inverse[:, gone] @ torch.linalg.solve(inverse[gone][:, gone], weight[gone])
            expected[gone] = 0
            new = found.weights[layer.name].flatten()[start : start + 6]
            torch.testing.assert_close(new, expected, rtol=1e-8, atol=1e-10)
