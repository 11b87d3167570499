import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from prunebench import CannotTakePart
from prunebench.api.random import Streams
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.testing import InitialiseContract
from prunebench_plugins.initialisers.normal import NormalConfig


class TestKaimingNormal(InitialiseContract):
    component = {"use": "kaiming_normal"}


class TestKaimingUniform(InitialiseContract):
    component = {"use": "kaiming_uniform"}


class TestXavierNormal(InitialiseContract):
    component = {"use": "xavier_normal"}


class TestNormal(InitialiseContract):
    component = {"use": "normal", "std": 0.05}


EVERY = ["kaiming_normal", "kaiming_uniform", "xavier_normal", {"use": "normal", "std": 0.05}]


def drawn(model: nn.Module, component: object, seed: int = 0) -> nn.Module:
    use = Catalogue.load().use(component)  # type: ignore[arg-type]
    rng = Streams(seed).rng("init")
    answer: nn.Module = run_manager([use]).hook.prunebench_initialise(model=model, rng=rng)
    return answer


@pytest.mark.parametrize(
    ("component", "variance"),
    [
        ("kaiming_normal", 2 / 400),
        ("kaiming_uniform", 2 / 400),
        ("xavier_normal", 2 / (400 + 600)),
        ({"use": "normal", "std": 0.05}, 0.05**2),
    ],
)
def test_linear_weights_have_the_stated_variance(component: object, variance: float) -> None:
    layer = drawn(nn.Linear(400, 600), component)
    weight = layer.get_parameter("weight")
    # The estimate of a variance from 240,000 numbers is off by 0.3 %.
    assert float(weight.detach().var()) == pytest.approx(variance, rel=0.02)
    assert abs(float(weight.detach().mean())) < 5 * math.sqrt(variance / 240_000)


@pytest.mark.parametrize(
    ("component", "normal"),
    [("kaiming_normal", True), ("xavier_normal", True), (EVERY[3], True), ("kaiming_uniform", False)],
)
def test_the_tails_are_those_of_the_distribution(component: object, normal: bool) -> None:
    weight = drawn(nn.Linear(400, 600), component).get_parameter("weight").detach()
    kurtosis = float((weight**4).mean() / (weight**2).mean() ** 2)
    assert kurtosis == pytest.approx(3.0 if normal else 1.8, abs=0.1)


def test_a_convolutions_fan_counts_its_kernel() -> None:
    weight = drawn(nn.Conv2d(64, 128, 3), "kaiming_normal").get_parameter("weight")
    assert float(weight.detach().var()) == pytest.approx(2 / (64 * 9), rel=0.05)


@pytest.mark.parametrize("component", EVERY)
def test_biases_are_zero_and_norm_layers_do_nothing(component: object) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(5.0)
    drawn(model, component)
    for layer in ("0", "1", "2", "3", "4"):
        assert not bool(model.get_parameter(f"{layer}.bias").any())
    for layer in ("1", "2", "3"):
        assert bool((model.get_parameter(f"{layer}.weight") == 1).all())


def test_what_is_no_layer_stays_as_the_constructor_left_it() -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.full((3,), 0.25))
            self.fc = nn.Linear(3, 3)

    assert drawn(Token(), "kaiming_normal").get_parameter("token").tolist() == [0.25] * 3


def test_layers_of_one_shape_are_drawn_apart_and_by_name() -> None:
    two = drawn(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "kaiming_normal")
    three = drawn(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)), "kaiming_normal")
    assert not torch.equal(two.get_parameter("0.weight"), two.get_parameter("1.weight"))
    assert torch.equal(two.get_parameter("1.weight"), three.get_parameter("1.weight"))


def test_layers_and_norms_without_parameters_are_left_out() -> None:
    drawn(nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2, affine=False)), "xavier_normal")


def test_a_spread_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        NormalConfig(std=0)


@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
    ],
)
@pytest.mark.parametrize("component", EVERY)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_weight_that_is_computed_is_drawn_through_its_parameters(norm: Any, component: object) -> None:
    plain = drawn(nn.Sequential(nn.Linear(40, 60)), component)
    normed = drawn(nn.Sequential(norm(nn.Linear(40, 60))), component)
    wanted = plain.get_parameter("0.weight").detach()
    (parameter,) = (p for n, p in normed.named_parameters() if p.shape == wanted.shape)
    assert torch.equal(parameter.detach(), wanted)
    if norm in (nn.utils.parametrizations.weight_norm, nn.utils.weight_norm):
        assert torch.allclose(normed[0].weight.detach(), wanted, atol=1e-6)  # type: ignore[index]


class Doubled(nn.Module):
    """It cannot say what gives a weight."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def test_a_weight_that_cannot_be_given_is_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    nn.utils.parametrize.register_parametrization(model[0], "weight", Doubled())
    with pytest.raises(CannotTakePart, match=r"0\.weight is computed from others"):
        drawn(model, "kaiming_normal")
