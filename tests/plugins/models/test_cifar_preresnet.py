import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d

from prunebench.api.info import DataInfo
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.models.timm_ import Timm, TimmConfig

CIFAR = DataInfo("toy", "0", {"train": 1}, (3, 32, 32), 10)


class TestCifarPreResNet20OnOddGreyImages(ModelContract):
    component = {"use": "timm", "name": "cifar_preresnet20"}
    shape = (1, 9, 14)
    classes = 7


def build(depth: int, **args: object) -> nn.Module:
    return Timm(TimmConfig.model_validate({"name": f"cifar_preresnet{depth}", "args": args})).prunebench_model(CIFAR)


@pytest.mark.parametrize(("depth", "parameters"), [(20, 219_482), (56, 590_426), (110, 1_146_842), (164, 1_703_258)])
def test_the_sizes_follow_from_the_layers(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        model = build(depth)
    assert sum(p.numel() for p in model.parameters()) == parameters
    names = list(layer_weights(model))
    assert len([name for name in names if "shortcut" not in name]) == depth
    assert [name for name in names if "shortcut" in name] == [f"layer{stage}.0.shortcut.weight" for stage in (1, 2, 3)]
    assert classifier_weights(model) == {"head.weight", "head.bias"}


def test_resnet164_has_the_published_size() -> None:
    # Liu et al. 2017, table 1: 1.70M parameters, 5.00e8 operations (two for each multiplication).
    with torch.device("meta"):
        model = build(164)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 1.70
    operations = []

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        weight = module.get_parameter("weight")
        operations.append(2 * weight.numel() * output[0, 0].numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    model(torch.zeros(1, 3, 32, 32, device="meta"))
    assert sum(operations) / 1e8 == pytest.approx(5.0, rel=0.02)


def test_a_block_computes_what_its_parameters_say() -> None:
    model = build(20)
    block = model.get_submodule("layer2.0")
    x = torch.linspace(-1, 1, 2 * 64 * 6 * 6).view(2, 64, 6, 6)
    with torch.no_grad():
        for number in (1, 2, 3):
            block.get_parameter(f"bn{number}.weight").uniform_(-1, 1)
            block.get_parameter(f"bn{number}.bias").uniform_(-1, 1)
        y = x
        for number, (stride, padding) in enumerate([(1, 0), (2, 1), (1, 0)], start=1):
            scale, shift = block.get_parameter(f"bn{number}.weight"), block.get_parameter(f"bn{number}.bias")
            y = torch.relu(batch_norm(y, torch.zeros(len(scale)), torch.ones(len(scale)), scale, shift))
            y = conv2d(y, block.get_parameter(f"conv{number}.weight"), stride=stride, padding=padding)
        expected = y + conv2d(x[:, :, ::2, ::2], block.get_parameter("shortcut.weight"))
        assert torch.allclose(block.eval()(x), expected, atol=1e-4)


def test_the_classifier_can_be_replaced() -> None:
    model = build(20).eval()
    model.reset_classifier(3)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 256)
