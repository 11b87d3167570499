"""VGG-16 and VGG-19 for small images: batch norm after each convolution, and one linear layer.

Source: Simonyan & Zisserman 2014, configurations D and E, as adapted to CIFAR by Liu et al. 2019 (Rethinking the value
of network pruning) and used by Frankle & Carbin 2019, figure 2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from prunebench import PlanError
from prunebench_plugins.models.architectures._network import Network

__all__ = ["CifarVgg", "cifar_vgg16", "cifar_vgg19"]

WIDTHS = (64, 128, 256, 512, 512)

default_cfgs = generate_default_cfgs(
    {name: {"first_conv": "features.conv1", "classifier": "head"} for name in ("cifar_vgg16", "cifar_vgg19")}
)


class CifarVgg(Network):
    """Five stages of convolutions 3 x 3 with 64 to 512 channels, pools of 2 between them, the mean over pixels, `head`.

    Args:
        img_size: height and width of the images; no weight depends on it.
        depths: convolutions of each stage.
    Raises:
        PlanError: the images are too small for four pools.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        img_size: int | Sequence[int] = 32,
        depths: Sequence[int] = (2, 2, 4, 4, 4),
    ) -> None:
        super().__init__()
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        if min(height, width) < 16:
            raise PlanError(f"cifar_vgg: images of {height} x {width} are too small for four pools of 2")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs, number = in_chans, 0
        for stage, (outputs, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
            if stage > 0:
                layers[f"pool{stage}"] = nn.MaxPool2d(2)
            for _ in range(depth):
                number += 1
                layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
                layers[f"bn{number}"] = nn.BatchNorm2d(outputs)
                layers[f"relu{number}"] = nn.ReLU()
                inputs = outputs
        self.features = nn.Sequential(layers)
        self.num_features = self.head_hidden_size = inputs
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the mean over pixels of the last stage (batch, 512)."""
        x = self.features(x)
        return x.mean((2, 3))


def _built(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    model: nn.Module = build_model_with_cfg(CifarVgg, name, pretrained, **arguments)
    return model


@register_model
def cifar_vgg16(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """VGG-16: 14,715,584 weights in 13 convolutions and the head; arguments are those of CifarVgg."""
    return _built("cifar_vgg16", pretrained, {"depths": (2, 2, 3, 3, 3), "img_size": img_size, **arguments})


@register_model
def cifar_vgg19(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """VGG-19: 20,024,000 weights in 16 convolutions and the head; arguments are those of CifarVgg."""
    return _built("cifar_vgg19", pretrained, {"depths": (2, 2, 4, 4, 4), "img_size": img_size, **arguments})
