"""Pre-activation residual networks with bottlenecks for small images: ResNet-20, -56, -110 and -164.

Norm layer and rectifier come before each convolution, so the channels that blocks add to are read by a norm layer of
every block.

Source: He et al. 2016b (Identity mappings in deep residual networks), section 4; depth 164 as in Liu et al. 2017
(network slimming) and Liu et al. 2019 (rethinking), whose shortcuts are convolutions without a norm layer.
"""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from prunebench_plugins.models.architectures._network import Network

__all__ = [
    "CifarPreResNet",
    "cifar_preresnet20",
    "cifar_preresnet56",
    "cifar_preresnet110",
    "cifar_preresnet164",
]

EXPANSION = 4

default_cfgs = generate_default_cfgs(
    {f"cifar_preresnet{depth}": {"first_conv": "conv1", "classifier": "head"} for depth in (20, 56, 110, 164)}
)


class Bottleneck(nn.Module):
    """Convolutions 1 x 1, 3 x 3 and 1 x 1, each behind a norm layer and a rectifier, and what bypasses them."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, 4 * width, height / stride, width / stride)."""
        y = self.conv1(self.bn1(x).relu())
        y = self.conv2(self.bn2(y).relu())
        y = self.conv3(self.bn3(y).relu())
        out: Tensor = y + self.shortcut(x)
        return out


class CifarPreResNet(Network):
    """A convolution, three stages of `blocks` bottlenecks (64, 128, 256 channels), a norm layer, the mean, `head`.

    Args:
        blocks: of each stage; the network has 9 * blocks + 2 layers with weights, shortcuts aside.
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 3, blocks: int = 18) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        inputs = 16
        for stage, width in enumerate((16, 32, 64), start=1):
            layer = nn.Sequential()
            for block in range(blocks):
                layer.append(Bottleneck(inputs, width, 2 if stage > 1 and block == 0 else 1))
                inputs = EXPANSION * width
            self.add_module(f"layer{stage}", layer)
        self.bn = nn.BatchNorm2d(inputs)
        self.num_features = self.head_hidden_size = inputs
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the mean over pixels of the last stage (batch, 256)."""
        x = self.conv1(x)
        for stage in (1, 2, 3):
            x = self.get_submodule(f"layer{stage}")(x)
        features: Tensor = self.bn(x).relu().mean((2, 3))
        return features


def _built(depth: int, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    name, blocks = f"cifar_preresnet{depth}", (depth - 2) // 9
    model: nn.Module = build_model_with_cfg(CifarPreResNet, name, pretrained, **{"blocks": blocks, **arguments})
    return model


@register_model
def cifar_preresnet20(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """Pre-activation ResNet-20: 219,482 parameters on 3 channels; arguments are those of CifarPreResNet."""
    return _built(20, pretrained, arguments)


@register_model
def cifar_preresnet56(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """Pre-activation ResNet-56: 590,426 parameters on 3 channels; arguments are those of CifarPreResNet."""
    return _built(56, pretrained, arguments)


@register_model
def cifar_preresnet110(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """Pre-activation ResNet-110: 1,146,842 parameters on 3 channels; arguments are those of CifarPreResNet."""
    return _built(110, pretrained, arguments)


@register_model
def cifar_preresnet164(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """Pre-activation ResNet-164: 1,703,258 parameters on 3 channels; arguments are those of CifarPreResNet."""
    return _built(164, pretrained, arguments)
