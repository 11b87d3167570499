import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d

from prunebench import PlanError
from prunebench.api.info import DataInfo
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.models.timm_ import Timm, TimmConfig


class TestCifarVgg16(ModelContract):
    component = {"use": "timm", "name": "cifar_vgg16"}
    shape = (1, 20, 16)
    classes = 7


class TestCifarVgg19(ModelContract):
    component = {"use": "timm", "name": "cifar_vgg19"}
    shape = (3, 32, 32)
    classes = 10


def build(name: str, shape: tuple[int, int, int] = (3, 32, 32)) -> nn.Module:
    return Timm(TimmConfig(name=name)).prunebench_model(DataInfo("toy", "0", {"train": 1}, shape, 10))


@pytest.mark.parametrize(
    ("name", "widths", "millions"),
    [
        ("cifar_vgg16", [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6, 14.72),
        ("cifar_vgg19", [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8, 20.02),
    ],
)
def test_the_layers_are_the_published_ones(name: str, widths: list[int], millions: float) -> None:
    with torch.device("meta"):
        model = build(name)
    weights = [model.get_parameter(parameter) for parameter in layer_weights(model)]
    assert [tuple(weight.shape) for weight in weights[:-1]] == [
        (outputs, inputs, 3, 3) for inputs, outputs in zip([3, *widths], widths, strict=False)
    ]
    assert weights[-1].shape == (10, 512)
    assert sum(weight.numel() for weight in weights) / 1e6 == pytest.approx(millions, abs=0.005)
    assert classifier_weights(model) == {"head.weight", "head.bias"}


def test_vgg16_computes_what_its_layers_say() -> None:
    model = build("cifar_vgg16").eval()
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    x, number = images, 0
    with torch.no_grad():
        for stage, depth in enumerate((2, 2, 3, 3, 3)):
            x = max_pool2d(x, 2) if stage else x
            for _ in range(depth):
                number += 1
                conv, norm = (model.get_submodule(f"features.{kind}{number}") for kind in ("conv", "bn"))
                x = torch.relu(norm(conv(x)))
        # As Liu et al. write it, for images of 32 x 32.
        expected = model.get_submodule("head")(avg_pool2d(x, 2).view(2, 512))
        assert torch.allclose(model(images), expected, atol=1e-6)


def test_the_classifier_can_be_replaced() -> None:
    model = build("cifar_vgg16").eval()
    with torch.no_grad():
        model.reset_classifier(3)  # type: ignore[operator]
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
        model.reset_classifier(0)  # type: ignore[operator]
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 512)


def test_images_too_small_for_the_pools_are_an_error() -> None:
    with pytest.raises(PlanError, match="cifar_vgg: images of 15 x 16 are too small"):
        build("cifar_vgg19", (3, 15, 16))
