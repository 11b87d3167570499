"""The residual networks of He et al. 2016 for small images: ResNet-20, -32, -44, -56 and -110, and ResNet-8.

Source: He et al. 2016, section 4.2; parameter names are those of Idelbayev's implementation (pytorch_resnet_cifar10),
so that its weights load.
"""

from __future__ import annotations

from typing import Any, Literal

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn.functional import pad

from prunebench import PlanError
from prunebench_plugins.models.architectures._network import Network

__all__ = [
    "CifarResNet",
    "cifar_resnet8",
    "cifar_resnet20",
    "cifar_resnet32",
    "cifar_resnet44",
    "cifar_resnet56",
    "cifar_resnet110",
]

Shortcut = Literal["A", "B"]

default_cfgs = generate_default_cfgs(
    {f"cifar_resnet{depth}": {"first_conv": "conv1", "classifier": "linear"} for depth in (8, 20, 32, 44, 56, 110)}
)


class PaddedShortcut(nn.Module):
    """Option A: every second pixel, and the new channels filled with zeros on both sides; no weights."""

    def __init__(self, stride: int, more: int) -> None:
        super().__init__()
        self.stride = stride
        self.before, self.after = more // 2, more - more // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, channels + more, height / stride, width / stride)."""
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two convolutions 3 x 3 and what bypasses them."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut, norm_affine: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs, affine=norm_affine)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, affine=norm_affine)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            if shortcut == "A":
                self.shortcut = PaddedShortcut(stride, outputs - inputs)
            else:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False),
                    nn.BatchNorm2d(outputs, affine=norm_affine),
                )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)) + self.shortcut(x)
        out: Tensor = y.relu()
        return out


class CifarResNet(Network):
    """A convolution, three stages of `blocks` basic blocks with 16, 32 and 64 channels, the mean over pixels, `linear`.

    Args:
        blocks: of each stage; the network has 6 * blocks + 2 layers with weights.
        shortcut: where a stage begins, "A" pads with zeros (He et al. for CIFAR; no weights on shortcuts), "B" projects
            (a convolution 1 x 1 and a norm layer, as the ResNet of Frankle & Carbin 2019 must have had).
        norm_affine: whether norm layers have a learned scale and shift.
        width: multiplies the channels, so about its square the weights.
    Raises:
        PlanError: `shortcut` is neither, or no channel is left.
    """

    classifier = "linear"

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        blocks: int = 3,
        shortcut: Shortcut = "A",
        norm_affine: bool = True,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise PlanError(f'cifar_resnet{6 * blocks + 2}: shortcut is "A" or "B", not {shortcut!r}')
        widths = [round(channels * width) for channels in (16, 32, 64)]
        inputs = widths[0]
        if inputs < 1:
            raise PlanError(f"cifar_resnet{6 * blocks + 2}: width {width} leaves no channel")
        self.conv1 = nn.Conv2d(in_chans, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs, affine=norm_affine)
        for stage, outputs in enumerate(widths, start=1):
            layer = nn.Sequential()
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layer.append(BasicBlock(inputs, outputs, stride, shortcut, norm_affine))
                inputs = outputs
            self.add_module(f"layer{stage}", layer)
        self.num_features = self.head_hidden_size = inputs
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the mean over pixels of the last stage (batch, num_features)."""
        x = self.bn1(self.conv1(x)).relu()
        for stage in (1, 2, 3):
            x = self.get_submodule(f"layer{stage}")(x)
        return x.mean((2, 3))


def _built(depth: int, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    name, blocks = f"cifar_resnet{depth}", (depth - 2) // 6
    model: nn.Module = build_model_with_cfg(CifarResNet, name, pretrained, **{"blocks": blocks, **arguments})
    return model


@register_model
def cifar_resnet8(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-8, one block a stage: 75,290 parameters on 3 channels with shortcut A; for reduced runs of ResNet-20."""
    return _built(8, pretrained, arguments)


@register_model
def cifar_resnet20(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-20: 269,722 parameters on 3 channels with shortcut A; arguments are those of CifarResNet."""
    return _built(20, pretrained, arguments)


@register_model
def cifar_resnet32(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-32: 464,154 parameters on 3 channels with shortcut A; arguments are those of CifarResNet."""
    return _built(32, pretrained, arguments)


@register_model
def cifar_resnet44(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-44: 658,586 parameters on 3 channels with shortcut A; arguments are those of CifarResNet."""
    return _built(44, pretrained, arguments)


@register_model
def cifar_resnet56(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-56: 853,018 parameters on 3 channels with shortcut A; arguments are those of CifarResNet."""
    return _built(56, pretrained, arguments)


@register_model
def cifar_resnet110(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-110: 1,727,962 parameters on 3 channels with shortcut A; arguments are those of CifarResNet."""
    return _built(110, pretrained, arguments)
