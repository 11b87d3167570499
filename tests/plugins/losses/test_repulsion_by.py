"""What a cosine of the repulsion is of: each layer, or what layers give for the training images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.losses.test_repulsion import REPEL, Rows, entries, masked, nested, optima
from torch import Tensor, nn
from torch.nn import functional

from prunebench import ContractError, PlanError
from prunebench.api.data import Data, Gather, Resident
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.api.masks import Mask, Units
from prunebench.api.random import Streams
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import (
    LossContract,
    ToyData,
    some_mask,
    state,
    toy_plan,
    toy_request,
    two_layer_net,
    weight_units,
)
from prunebench.testing.contract import task_of
from prunebench_plugins.losses.repulsion import RepelledActivations, Repulsion, RepulsionConfig, build

Vectors = Mapping[str, Tensor]
ALL = 10_000
"""More images than there are: all of them."""


def images(data: Data) -> Tensor:
    (batch,) = data["train"].batches([Gather(torch.arange(data["train"].size))])
    return task_of({"use": "classification"}).batch(*batch)[0]


def added(
    model: nn.Module, units: Units, mask: Mask | None, earlier: Sequence[Optimum], data: Data, **fields: Any
) -> dict[str, Tensor]:
    """What the component's terms leave in gradients that were 0; off the mask the engine puts it to 0."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    config = RepulsionConfig.model_validate({"images": ALL if fields["by"] == "activations" else 1_000, **fields})
    if fields["by"] == "activations":
        terms = RepelledActivations(config).prunebench_loss_terms(
            model,
            data,
            task_of({"use": "classification"}),
            units,
            mask,
            {"optima": earlier},
            Streams(0).rng("loss"),
        )
    else:
        terms = Repulsion(config).prunebench_loss_terms(model, units, mask, {"optima": earlier})
    for term in terms:
        assert term.gradient is not None
        term.gradient()
    keep = units.expand(Mask.full(units.layers) if mask is None else mask)
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {n: g.masked_fill(~keep[n], 0.0) if n in keep else g for n, g in gradients.items()}


def exact(
    model: nn.Module,
    units: Units,
    mask: Mask | None,
    earlier: Sequence[Optimum],
    products: Any,
    strength: float,
) -> dict[str, Tensor]:
    """By autograd in double precision: strength / K / layers times the sum of n^2 / (q p).

    Args:
        products: (layer, a, b) -> their product.
    """
    keep = units.expand(Mask.full(units.layers) if mask is None else mask)
    leaves = {n: p.detach().double().requires_grad_() for n, p in model.named_parameters() if n in keep}
    total = torch.zeros((), dtype=torch.float64)
    for name, leaf in leaves.items():
        present = leaf * keep[name]
        for optimum in earlier:
            past = optimum.weights[name].double() * keep[name]
            lengths = products(name, present, present) * products(name, past, past)
            if float(lengths.detach()) > 0:
                total = total + products(name, present, past) ** 2 / lengths
    torch.autograd.backward(strength / len(earlier) / len(leaves) * total)
    return {n: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for n, leaf in leaves.items()}


def euclidean(name: str, a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum()


class Covariances:
    """The covariance of what a layer gives with two weights, for what it reads in each optimum's own network.

    Made of the outputs themselves, without a matrix of inputs. Args: `read`: what each layer reads, and how it is
    applied, for each optimum.
    """

    def __init__(self, read: Sequence[Mapping[str, tuple[Tensor, Any]]]) -> None:
        self.read = read

    def __call__(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for layers in self.read:
            inputs, apply = layers[name]
            first, second = apply(inputs, a), apply(inputs, b)
            # outputs of linear layers are (images, channels), of convolutions (images, channels, height, width)
            over = [d for d in range(first.ndim) if d != 1]
            total = total + ((first - first.mean(over, True)) * (second - second.mean(over, True))).mean(over).sum()
        return total / len(self.read)


def of_two_layers(earlier: Sequence[Optimum], data: Data) -> Covariances:
    x = images(data).double().flatten(1)

    def read(weights: Vectors) -> dict[str, tuple[Tensor, Any]]:
        hidden = (x @ weights["fc1.weight"].double().T + weights["fc1.bias"].double()).relu()
        return {"fc1.weight": (x, functional.linear), "fc2.weight": (hidden, functional.linear)}

    return Covariances([read(one.weights) for one in earlier])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(1, 66), min_size=1, max_size=6),
    st.floats(-3, 3).filter(lambda x: abs(x) > 0.01),
    st.floats(-2, 2),
    st.sampled_from(["layer", "activations"]),
)
def test_the_gradient_is_that_of_the_formula(counts: list[int], strength: float, scale: float, by: str) -> None:
    model, data = two_layer_net(), ToyData().prunebench_data()
    units = weight_units(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10**scale)
    masks = nested(units, sorted(counts, reverse=True))
    masked(model, units, masks[-1])
    earlier = optima(model, units, [None, *masks[:-1]])
    ours = added(model, units, masks[-1], earlier, data, strength=strength, by=by)
    products = euclidean if by == "layer" else of_two_layers(earlier, data)
    for name, gradient in exact(model, units, masks[-1], earlier, products, strength).items():
        size = float(state(model)[name].norm())
        # Cosines do not depend on lengths: an error is measured by how far a step of the weights' length goes.
        assert float((ours[name].double() - gradient).abs().max()) * size <= 3e-6 * max(1.0, abs(strength))


@pytest.mark.parametrize("by", ["layer", "activations"])
@pytest.mark.parametrize("kept", [None, 400, 60])
def test_convolutions_have_a_cosine_over_all_places(by: str, kept: int | None) -> None:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (24, 3, 6, 6), dtype=torch.uint8, generator=generator)
    pictures[:, 1] = 7  # a channel that is constant says nothing, except at the padded border
    train = Resident(pictures, torch.arange(24) % 3, (0.5,) * 3, (0.25,) * 3)
    data = Data(DataInfo("made", "0", {"train": 24}, (3, 6, 6), 3), {"train": train})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, groups=4, bias=False), nn.ReLU()
        )
    units = weight_units(model)
    assert units.count == 360
    mask = None if kept is None else some_mask(units, min(kept, 300))
    masked(model, units, mask)
    earlier = optima(model, units, [None, None])
    ours = added(model, units, mask, earlier, data, by=by)
    x = images(data).double()

    def read(weights: Vectors) -> dict[str, tuple[Tensor, Any]]:
        hidden = functional.conv2d(x, weights["0.weight"].double(), weights["0.bias"].double(), padding=1).relu()
        return {
            "0.weight": (x, lambda taken, weight: functional.conv2d(taken, weight, padding=1)),
            "2.weight": (hidden, lambda taken, weight: functional.conv2d(taken, weight, stride=2, groups=4)),
        }

    products = euclidean if by == "layer" else Covariances([read(one.weights) for one in earlier])
    for name, gradient in exact(model, units, mask, earlier, products, 2.0).items():
        assert bool(gradient.any())
        assert float((ours[name].double() - gradient).norm() / gradient.norm()) < 1e-5
    assert not bool(ours["0.bias"].any())


def test_what_a_layer_owns_counts_together() -> None:
    model, units = two_layer_net(), Rows()
    earlier = optima(model, units, [None])
    data = ToyData().prunebench_data()
    layer, network = (added(model, units, None, earlier, data, by=by) for by in ("layer", "network"))
    # There is one layer, of a weight and a bias, so its cosine is that of the network.
    assert bool(layer["fc1.bias"].any())
    assert all(torch.equal(layer[name], network[name]) for name in layer)


def test_layers_that_cancel_are_seen_layer_by_layer() -> None:
    model, data = two_layer_net(), ToyData().prunebench_data()
    units = weight_units(model)
    here = state(model)
    ratio = float(here["fc1.weight"].norm() / here["fc2.weight"].norm())
    with torch.no_grad():
        model.get_parameter("fc2.weight").mul_(ratio)
    past = {**state(model)}
    past["fc2.weight"] = -past["fc2.weight"]
    earlier = [Optimum(past, None, 1)]
    # The network's cosine is 0, and that of each layer is 1 or -1: both are where their square is largest.
    network = added(model, units, None, earlier, data, by="network")
    assert all(float(g.abs().max()) < 1e-6 for g in network.values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    layers = added(model, units, None, earlier, data, by="layer")
    assert float(layers["fc1.weight"].norm()) > 5 * float(
        added(model, units, None, earlier, data, by="network")["fc1.weight"].norm()
    )


def test_weights_of_what_never_changes_are_not_repelled_in_the_metric_of_the_data() -> None:
    data = ToyData().prunebench_data()
    whole = data["train"]
    assert isinstance(whole, Resident)
    constant = whole.images.clone()
    constant[:, :, 0] = 50
    changed = Data(data.info, {"train": Resident(constant, whole.labels, (0.42,), (0.3,))})
    model = two_layer_net()
    units = weight_units(model)
    ours = added(model, units, None, optima(model, units, [None]), changed, by="activations")["fc1.weight"]
    assert not bool(ours[:, :4].any())
    assert bool(ours[:, 4:].any())


@pytest.mark.parametrize("by", ["layer", "activations"])
def test_a_layer_of_which_nothing_is_left_is_left_alone(by: str) -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = Mask((torch.arange(48) < 20, torch.zeros(18, dtype=torch.bool)))
    masked(model, units, mask)
    ours = added(model, units, mask, optima(model, units, [None]), ToyData().prunebench_data(), by=by)
    assert bool(ours["fc1.weight"].any())
    assert not bool(ours["fc2.weight"].any())
    assert all(bool(g.isfinite().all()) for g in ours.values())


@pytest.mark.parametrize("by", ["layer", "activations"])
def test_another_past_is_refused(by: str) -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask, other = some_mask(units, 30), some_mask(units, 30, "another")
    with pytest.raises(ContractError, match="the optimum of round 1 was trained without"):
        added(model, units, mask, optima(model, units, [other]), ToyData().prunebench_data(), by=by)


class TestRepulsionByLayer(LossContract):
    component: Any = {"use": "repulsion", "by": "layer"}

    def inputs(self) -> Inputs:
        return {"optima": optima(self.model(), self.units(self.model()), [None, None])}


class TestRepulsionByActivations(TestRepulsionByLayer):
    component: Any = {"use": "repulsion", "by": "activations", "images": 50}

    def test_the_images_are_those_of_the_stream(self) -> None:
        def gradient() -> Tensor:
            return self.gradients(None, 1)["fc1.weight"]

        assert torch.equal(gradient(), gradient())
        first = gradient()
        self.rng = lambda seed=0: Streams(1).rng("loss")  # type: ignore[method-assign]
        assert not torch.equal(first, gradient())


# Plans and runs.


def test_the_default_is_in_no_key_and_the_others_are() -> None:
    def loss(**fields: Any) -> Any:
        plan = toy_plan(entries({**REPEL, **fields}), rounds=2)
        return next(p.spec.loss[0].config for p in plan.runs if p.spec.loss)

    assert loss() == loss(by="network") == {"strength": 2.0, "against": "all"}
    assert loss(by="layer") == {"strength": 2.0, "against": "all", "by": "layer"}
    assert loss(by="activations", images=64)["images"] == 64


def test_images_are_for_activations_alone() -> None:
    with pytest.raises(ValueError, match='images: only by = "activations" looks at images'):
        RepulsionConfig(by="layer", images=5)
    assert type(build(RepulsionConfig(by="layer"))) is Repulsion


def test_channels_have_no_metric_of_activations() -> None:
    request = toy_request(2)
    group = ModelInfo("m", 9, (Layer("group", 0, 9),))
    object.__setattr__(request.chain.context, "model", group)  # type: ignore[attr-defined]
    with pytest.raises(PlanError, match=r"repulsion by = .activations.: it works on single weights"):
        RepelledActivations(RepulsionConfig(by="activations")).prunebench_needs(request)


@pytest.mark.parametrize("by", ["layer", "activations"])
def test_a_repelled_benchmark_runs_to_its_rows_and_again_to_the_bit(tmp_path: Path, by: str) -> None:
    changes = entries({**REPEL, "by": by, **({"images": 64} if by == "activations" else {})})
    outcome = run(tmp_path / "a", changes)
    again = run(tmp_path / "b", changes)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    plain = run(tmp_path / "c", entries(REPEL))
    ours, same, others = ([row["value"] for row in rows(one, metric="loss")] for one in (outcome, again, plain))
    assert ours == same
    assert ours != others
