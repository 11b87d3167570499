import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from prunebench import PlanError
from prunebench.api.info import DataInfo
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.models.timm_ import Timm, TimmConfig

CIFAR = (3, 32, 32)


class TestConv2(ModelContract):
    component = {"use": "timm", "name": "conv2"}
    shape = CIFAR
    classes = 10


class TestConv4OnGreyOblongImages(ModelContract):
    component = {"use": "timm", "name": "conv4", "args": {"widths": [30], "drop_rate": 0.5}}
    shape = (1, 12, 9)
    classes = 7


class TestConv6(ModelContract):
    component = {"use": "timm", "name": "conv6"}
    shape = CIFAR
    classes = 10


def build(name: str, shape: tuple[int, int, int] = CIFAR, **args: object) -> nn.Module:
    plugin = Timm(TimmConfig.model_validate({"name": name, "args": args}))
    return plugin.prunebench_model(DataInfo("toy", "0", {"train": 1}, shape, 10))


@pytest.mark.parametrize(
    ("name", "convolutions", "linear"),
    [
        ("conv2", [1_728, 36_864], [4_194_304, 65_536, 2_560]),
        ("conv4", [1_728, 36_864, 73_728, 147_456], [2_097_152, 65_536, 2_560]),
        ("conv6", [1_728, 36_864, 73_728, 147_456, 294_912, 589_824], [1_048_576, 65_536, 2_560]),
    ],
)
def test_the_layers_are_those_of_the_papers_figure_2(name: str, convolutions: list[int], linear: list[int]) -> None:
    with torch.device("meta"):
        model = build(name)
    sizes: dict[str, list[int]] = {"conv": [], "linear": []}
    for parameter, kind in layer_weights(model).items():
        sizes[kind].append(model.get_parameter(parameter).numel())
    assert sizes == {"conv": convolutions, "linear": linear}


@pytest.mark.parametrize(
    ("name", "all_weights", "convolutions"),
    [("conv2", 4.30, 0.038), ("conv4", 2.43, 0.260), ("conv6", 2.26, 1.14)],
)
def test_the_sizes_are_the_published_ones_in_millions(name: str, all_weights: float, convolutions: float) -> None:
    with torch.device("meta"):
        model = build(name)
    kinds = layer_weights(model)
    count = {parameter: model.get_parameter(parameter).numel() / 1e6 for parameter in kinds}
    assert sum(count.values()) == pytest.approx(all_weights, abs=0.005)
    assert sum(count[p] for p in kinds if kinds[p] == "conv") == pytest.approx(convolutions, abs=0.005)


def test_conv4_computes_what_its_layers_say() -> None:
    model = build("conv4", (3, 9, 8))
    images = torch.linspace(-1, 1, 2 * 3 * 9 * 8).view(2, 3, 9, 8)
    x = images
    for pair in ((1, 2), (3, 4)):
        for number in pair:
            x = torch.relu(model.get_submodule(f"features.conv{number}")(x))
        x = max_pool2d(x, 2)
    x = x.reshape(2, -1)
    for number in (1, 2):
        x = torch.relu(model.get_submodule(f"hidden.fc{number}")(x))
    assert torch.equal(model(images), model.get_submodule("head")(x))


def test_the_classifier_is_the_last_layer() -> None:
    model = build("conv2")
    assert classifier_weights(model) == {"head.weight", "head.bias"}
    model.reset_classifier(3)  # type: ignore[operator]
    assert model(torch.zeros(2, *CIFAR)).shape == (2, 3)
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(torch.zeros(2, *CIFAR)).shape == (2, 256)


def test_dropout_acts_in_training_only_and_on_half_of_the_hidden_units() -> None:
    model = build("conv2", (1, 8, 8), drop_rate=0.5)
    images = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    dropped = 0
    torch.manual_seed(0)
    drop = model.get_submodule("hidden.drop1").train()
    for _ in range(20):
        dropped += int((drop(torch.ones(256)) == 0).sum())
    # Four standard deviations of 5,120 coins.
    assert abs(dropped - 2_560) < 4 * (5_120 / 4) ** 0.5
    model.eval()
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_images_too_small_for_the_pools_are_an_error() -> None:
    with pytest.raises(PlanError, match="conv6: images of 8 x 7 are too small"):
        build("conv6", (3, 8, 7))


def test_timm_builds_them_without_this_project(caplog: pytest.LogCaptureFixture) -> None:
    model = timm.create_model("conv6", num_classes=5, in_chans=1, img_size=28)
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 5)
    assert caplog.records == []
