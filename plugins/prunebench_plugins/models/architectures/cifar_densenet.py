"""DenseNet-40 for small images: every layer reads what all layers before it in its block have made.

Source: Huang et al. 2017 (Densely connected convolutional networks), section 3, without bottlenecks and compression;
as pruned by Liu et al. 2017 (network slimming).
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from prunebench_plugins.models.architectures._network import Network

__all__ = ["CifarDenseNet", "cifar_densenet40"]

default_cfgs = generate_default_cfgs({"cifar_densenet40": {"first_conv": "conv1", "classifier": "head"}})


class DenseLayer(nn.Module):
    """A norm layer, a rectifier and a convolution 3 x 3, whose `growth` channels are put behind those it reads."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, inputs + growth, height, width)."""
        return torch.cat([x, self.conv(self.bn(x).relu())], 1)


class Transition(nn.Module):
    """A norm layer, a rectifier, a convolution 1 x 1 with as many channels, and a mean over 2 x 2 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, channels, height / 2, width / 2)."""
        y: Tensor = self.pool(self.conv(self.bn(x).relu()))
        return y


class CifarDenseNet(Network):
    """A convolution, three dense blocks with transitions between them, a norm layer, the mean over pixels, `head`.

    Args:
        layers: of each block; the network has 3 * layers + 4 layers with weights.
        growth: channels that each layer adds.
        stem: channels of the first convolution: 16 in the paper, 24 in the code of Liu et al. 2019.
    """

    def __init__(
        self, num_classes: int = 10, in_chans: int = 3, layers: int = 12, growth: int = 12, stem: int = 16
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, stem, 3, padding=1, bias=False)
        channels = stem
        for number in (1, 2, 3):
            block = nn.Sequential()
            for _ in range(layers):
                block.append(DenseLayer(channels, growth))
                channels += growth
            self.add_module(f"block{number}", block)
            if number < 3:
                self.add_module(f"transition{number}", Transition(channels))
        self.bn = nn.BatchNorm2d(channels)
        self.num_features = self.head_hidden_size = channels
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the mean over pixels of the last block (batch, num_features)."""
        x = self.conv1(x)
        for name in ("block1", "transition1", "block2", "transition2", "block3"):
            x = self.get_submodule(name)(x)
        features: Tensor = self.bn(x).relu().mean((2, 3))
        return features


@register_model
def cifar_densenet40(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """DenseNet-40: 1,019,722 parameters on 3 channels; arguments are those of CifarDenseNet."""
    model: nn.Module = build_model_with_cfg(CifarDenseNet, "cifar_densenet40", pretrained, **arguments)
    return model
