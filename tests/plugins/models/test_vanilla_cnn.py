import pytest
import torch
from torch import nn

from prunebench import PlanError
from prunebench.api.info import DataInfo
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.models.timm_ import Timm, TimmConfig

CIFAR = DataInfo("toy", "0", {"train": 1}, (3, 32, 32), 10)


class TestVanillaCnn(ModelContract):
    component = {"use": "timm", "name": "vanilla_cnn"}
    shape = (3, 32, 32)
    classes = 10


class TestANarrowVanillaCnnOnOddGreyImages(ModelContract):
    component = {"use": "timm", "name": "vanilla_cnn", "args": {"width": 0.25}}
    shape = (1, 9, 14)
    classes = 7


def build(name: str = "vanilla_cnn", info: DataInfo = CIFAR, **args: object) -> nn.Module:
    return Timm(TimmConfig.model_validate({"name": name, "args": args})).prunebench_model(info)


def weights(model: nn.Module) -> dict[str, int]:
    return {name: model.get_parameter(name).numel() for name in layer_weights(model)}


def test_the_layers_are_those_of_the_appendix() -> None:
    layers = ((3, 16), (16, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64))
    model = build()
    counts = weights(model)
    assert list(counts.values()) == [*(9 * read * written for read, written in layers), 64 * 10]
    assert sum(counts.values()) == 74_800
    assert sum(parameter.numel() for parameter in model.parameters()) == 74_800 + 3 * 16 + 2 * 32 + 2 * 64 + 10
    kinds = [type(module).__name__ for module in model.get_submodule("features")]
    convolutions = ["Conv2d", "ReLU"]
    assert kinds == [*3 * convolutions, "MaxPool2d", *2 * convolutions, "MaxPool2d", *2 * convolutions]


@pytest.mark.parametrize(("width", "channels"), [(1.0, 16), (0.5, 8), (0.25, 4)])
def test_the_width_multiplies_the_channels(width: float, channels: int) -> None:
    for name, first in (("vanilla_cnn", "features.conv1"), ("cifar_resnet20", "conv1")):
        model = build(name, width=width)
        assert model.get_parameter(f"{first}.weight").shape == (channels, 3, 3, 3)
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        inner = sum(count for layer, count in weights(model).items() if "conv" in layer) - 27 * channels
        full = sum(count for layer, count in weights(build(name)).items() if "conv" in layer) - 27 * 16
        assert inner == full * width**2


def test_resnet20_of_half_the_width_has_a_quarter_of_the_parameters() -> None:
    sizes = [sum(p.numel() for p in build("cifar_resnet20", width=width).parameters()) for width in (1.0, 0.5)]
    assert sizes == [269_722, 68_050]


def test_the_classifier_is_the_last_layer() -> None:
    model = build().eval()
    assert classifier_weights(model) == {"head.weight", "head.bias"}
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 64)


@pytest.mark.parametrize("name", ["vanilla_cnn", "cifar_resnet20"])
def test_a_network_without_channels_is_an_error(name: str) -> None:
    with pytest.raises(PlanError, match=rf"{name}: width 0.01 leaves no channel"):
        build(name, width=0.01)


def test_images_too_small_for_the_pools_are_an_error() -> None:
    with pytest.raises(PlanError, match="images of 3 x 8 are too small for two pools"):
        build(info=DataInfo("toy", "0", {"train": 1}, (3, 3, 8), 10))
