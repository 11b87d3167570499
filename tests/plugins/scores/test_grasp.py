from collections import OrderedDict
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, some_mask, state, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.grasp import Grasp, GraspConfig

CLASSES = task_of({"use": "classification"})

WEIGHTS = ("fc1.weight", "fc2.weight")


class TestGrasp(ScoreContract):
    component = {"use": "grasp"}


class TestGraspOfEveryParameter(ScoreContract):
    component = {"use": "grasp", "over": "all", "batch": 20, "batches": 3, "temperature": 1.0, "batch_norm": "running"}


def smooth() -> nn.Module:
    """The toy network in float64 without a kink, so that its Hessian is not only that of the softmax."""
    net = two_layer_net()
    layers = OrderedDict((name, nn.Tanh() if name == "relu" else layer) for name, layer in net.named_children())
    return nn.Sequential(layers).double().eval()


def scored(model: nn.Module, mask: Mask | None = None, **fields: object) -> Tensor:
    config = GraspConfig.model_validate({"batch": 96, **fields})
    rng = Streams(0, round=1).rng("score")
    return (
        Grasp(config)
        .prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), mask, rng)
        .flat()
    )


def explicit(model: nn.Module, names: tuple[str, ...], temperature: float, mask: Tensor | None = None) -> Tensor:
    """Hg of the loss over all training images for the weights, from a Hessian that is written out."""
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])
    start = {name: model.get_parameter(name).detach() for name in names}
    sizes = [value.numel() for value in start.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = torch.split(flat, sizes)
        weights: Mapping[str, Tensor] = {n: p.view_as(start[n]) for n, p in zip(names, parts, strict=True)}
        return functional.cross_entropy(functional_call(model, dict(weights), (images.double(),)) / temperature, labels)

    point = torch.cat([value.flatten() for value in start.values()])
    gradient = torch.autograd.functional.jacobian(loss, point)
    hessian = torch.autograd.functional.hessian(loss, point)
    if mask is not None:
        gradient = gradient * mask
    return hessian @ gradient


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_the_score_is_the_weight_times_the_hessian_gradient_product(temperature: float) -> None:
    model = smooth()
    weights = torch.cat([model.get_parameter(name).detach().flatten() for name in WEIGHTS])
    expected = weights * explicit(model, WEIGHTS, temperature)
    torch.testing.assert_close(scored(model, temperature=temperature), expected, rtol=1e-9, atol=1e-18)


def test_the_gradient_of_every_parameter_counts_the_biases_too() -> None:
    model = smooth()
    names = (*WEIGHTS, "fc1.bias", "fc2.bias")
    weights = torch.cat([model.get_parameter(name).detach().flatten() for name in WEIGHTS])
    expected = weights * explicit(model, names, 2.0)[: len(weights)]
    found = scored(model, temperature=2.0, over="all")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-18)
    assert not torch.allclose(found, scored(model, temperature=2.0), rtol=1e-3)


def test_the_lowest_score_is_the_weight_whose_removal_costs_no_gradient_flow() -> None:
    """To first order, w -> (1 - e) w changes ||g||^2 by -2 e w (Hg): what scores high carries the flow."""
    model = smooth()
    scores = scored(model, temperature=1.0)
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])

    def flow() -> float:
        loss = functional.cross_entropy(model(images.double()), labels)
        slopes = torch.autograd.grad(loss, [model.get_parameter(name) for name in WEIGHTS])
        return sum(float(slope.square().sum()) for slope in slopes)

    before, shrunk = flow(), 1e-6
    found = []
    for name in WEIGHTS:
        flat = model.get_parameter(name).data.view(-1)
        for index, value in enumerate(flat.tolist()):
            flat[index] = value * (1 - shrunk)
            found.append((before - flow()) / (2 * shrunk))
            flat[index] = value
    torch.testing.assert_close(scores, torch.tensor(found, dtype=torch.float64), rtol=1e-3, atol=1e-8)
    assert float(scores.min()) < 0 < float(scores.max())


def test_dead_weights_are_no_part_of_the_flow() -> None:
    model = smooth()
    units = weight_units(model)
    mask = some_mask(units, 30)
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)
    weights = torch.cat([model.get_parameter(name).detach().flatten() for name in WEIGHTS])
    scores = scored(model, mask, temperature=1.0)
    torch.testing.assert_close(scores, weights * explicit(model, WEIGHTS, 1.0, mask.flat().double()))
    assert not bool(scores[~mask.flat()].any())
    assert not torch.allclose(scores, weights * explicit(model, WEIGHTS, 1.0))


def test_batches_add_up_to_the_gradient_and_the_hessian_of_them_all() -> None:
    model = smooth()
    found = scored(model, batch=24, batches=4, temperature=1.0)
    torch.testing.assert_close(found, scored(model, temperature=1.0))


def test_nothing_is_left_behind_in_the_network() -> None:
    model = smooth()
    model.get_parameter("fc1.weight").grad = torch.full((6, 8), 7.0, dtype=torch.float64)
    before = state(model)
    scored(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert bool((model.get_parameter("fc1.weight").grad == 7.0).all())  # type: ignore[union-attr]
    assert model.get_parameter("fc2.weight").grad is None


class Attention(nn.Module):
    """Attention among the eight pixels, by the kernel that torch finds fastest."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.lift, self.head = nn.Linear(1, 8), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        pixels = self.lift(images.flatten(1)[:, None, :, None])
        out: Tensor = self.head(functional.scaled_dot_product_attention(pixels, pixels, pixels).mean((1, 2)))
        return out


def test_attention_is_scored_though_its_fast_kernels_have_no_second_derivative() -> None:
    scores = scored(Attention().eval(), temperature=1.0)
    assert bool(scores.isfinite().all())
    assert bool(scores.all())
