"""Weights that are computed before they are used: whether zeros stay zeros is found by trial."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pytest
import torch
from timm.layers import Conv2dSame, ScaledStdConv2d, StdConv2d, StdConv2dSame
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from prunebench.kernels.computed_weights import computed_weights, effective, uses_its_weight_as_it_is

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).mT


class Scaled(nn.Module):
    """One learned factor for each output."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(outputs, 1))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.factor


def by(step: nn.Module) -> nn.Module:
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", step)
    return layer


FORMS: Mapping[str, tuple[Callable[[], nn.Module], str | None, int]] = {
    "spectral norm": (
        lambda: parametrizations.spectral_norm(nn.Linear(3, 4)),
        "0.parametrizations.weight.original",
        1,
    ),
    "spectral norm, old": (lambda: nn.utils.spectral_norm(nn.Conv2d(2, 4, 3)), "0.weight_orig", 1),
    "a factor": (lambda: by(Scaled(4)), "0.parametrizations.weight.original", 0),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Conv2d(2, 4, 3)), None, 0),
    "weight norm, old": (lambda: nn.utils.weight_norm(nn.Conv2d(2, 4, 3)), None, 0),
    "symmetric": (lambda: by(Symmetric()), None, 0),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(4, 4)), None, 0),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_zeros_that_stay_zeros_are_found_by_trial(form: str, device: str) -> None:
    build, parameter, floor = FORMS[form]
    if (form, device) == ("orthogonal", "meta"):
        pytest.skip("torch cannot build it there")
    with torch.device(device):
        model = nn.Sequential(build())
    (found,) = computed_weights(model)
    assert (found.parameter, found.floor) == (parameter, floor)
    everything = {found.parameter, *found.others} - {None}
    assert everything == {name for name, _ in model.named_parameters() if not name.endswith("bias")}


@pytest.mark.parametrize("form", [form for form in FORMS if FORMS[form][1] is not None])
def test_the_weight_that_is_used_is_given_and_nothing_changes(form: str) -> None:
    model = nn.Sequential(FORMS[form][0]()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (compute,) = effective(model).values()
    weight = compute()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[0].training
    twin = copy.deepcopy(model).eval()
    shape = (1, weight.shape[1], 5, 5) if weight.ndim == 4 else (1, weight.shape[1])
    twin(torch.ones(shape))  # the old hooks compute before each pass
    assert torch.allclose(weight, twin[0].weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "as_it_is"),
    [
        (lambda: nn.Conv2d(8, 8, 3), True),
        (lambda: Conv2dSame(8, 8, 3, stride=2), True),
        (lambda: Conv2dSame(8, 16, 5, groups=8, dilation=2), True),
        (lambda: StdConv2d(8, 8, 3), False),
        (lambda: StdConv2d(8, 8, 3, groups=8), False),
        (lambda: StdConv2dSame(3, 8, 7, stride=2), False),
        (lambda: ScaledStdConv2d(8, 8, 1), False),
        (nn.Flatten, True),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_layer_that_changes_its_weight_is_found_by_trial(
    build: Callable[[], nn.Module], as_it_is: bool, device: str
) -> None:
    with torch.device(device):
        layer = build()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert uses_its_weight_as_it_is(layer) == as_it_is
    if device == "cpu":
        assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


class Normed(nn.Linear):
    """A class of one's own whose pass brings the weight to a mean of 0."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight - self.weight.mean(), self.bias)


class Transposed(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(2 * x)


class Routed(nn.Conv2d):
    """It takes something else."""

    def forward(self, x: Tensor, route: Tensor) -> Tensor:  # type: ignore[override]
        raise NotImplementedError


def test_classes_of_ones_own_are_tried() -> None:
    assert not uses_its_weight_as_it_is(Normed(4, 4))
    assert uses_its_weight_as_it_is(Transposed(4, 8, 3, groups=2))
    assert uses_its_weight_as_it_is(Routed(4, 8, 3))
