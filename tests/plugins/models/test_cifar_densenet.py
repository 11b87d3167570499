import pytest
import torch
from torch import nn

from prunebench.api.info import DataInfo
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.models.timm_ import Timm, TimmConfig

CIFAR = DataInfo("toy", "0", {"train": 1}, (3, 32, 32), 10)


class TestCifarDenseNet40OnOddGreyImages(ModelContract):
    component = {"use": "timm", "name": "cifar_densenet40"}
    shape = (1, 9, 14)
    classes = 7


def build(**args: object) -> nn.Module:
    return Timm(TimmConfig.model_validate({"name": "cifar_densenet40", "args": args})).prunebench_model(CIFAR)


@pytest.mark.parametrize(("stem", "parameters"), [(16, 1_019_722), (24, 1_059_298)])
def test_the_size_is_the_published_one(stem: int, parameters: int) -> None:
    with torch.device("meta"):
        model = build(stem=stem)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(layer_weights(model)) == 40
    assert classifier_weights(model) == {"head.weight", "head.bias"}


def test_it_is_the_network_of_liu_et_al_by_default() -> None:
    # Network slimming, table 1: 1.02M parameters, 5.33e8 operations (two for each multiplication).
    with torch.device("meta"):
        model = build()
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 1.02
    operations = []

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        operations.append(2 * module.get_parameter("weight").numel() * output[0, 0].numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    model(torch.zeros(1, 3, 32, 32, device="meta"))
    assert sum(operations) / 1e8 == pytest.approx(5.33, rel=0.02)


def test_a_layer_puts_its_channels_behind_those_it_reads() -> None:
    layer = build(growth=5).eval().get_submodule("block1.0")
    x = torch.linspace(-1, 1, 2 * 16 * 4 * 4).view(2, 16, 4, 4)
    out = layer(x)
    assert out.shape == (2, 21, 4, 4)
    assert torch.equal(out[:, :16], x)
    assert torch.equal(out[:, 16:], layer.get_submodule("conv")(layer.get_submodule("bn")(x).relu()))


def test_every_layer_of_a_block_reads_all_before_it() -> None:
    model = build()
    widths = [model.get_parameter(f"block1.{index}.conv.weight").shape[1] for index in range(12)]
    assert widths == [16 + 12 * index for index in range(12)]
    assert model.get_parameter("transition1.conv.weight").shape == (160, 160, 1, 1)


def test_the_classifier_can_be_replaced() -> None:
    model = build().eval()
    model.reset_classifier(3)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 448)
