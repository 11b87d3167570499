"""Conv-2, Conv-4 and Conv-6: small convolutional networks without normalisation.

Source: Frankle & Carbin 2019, section 3 and figure 2. The figure gives Conv-6 as 1.7M weights; the layers that it lists
hold 2.26M, which its plots confirm. Those layers are built here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from prunebench import PlanError
from prunebench_plugins.models.architectures._network import Network

__all__ = ["ConvNet", "conv2", "conv4", "conv6"]

NAMES = ("conv2", "conv4", "conv6")

default_cfgs = generate_default_cfgs({name: {"first_conv": "features.conv1", "classifier": "head"} for name in NAMES})


class ConvNet(Network):
    """Convolutions in pairs, each pair followed by a pool of 2, then two hidden linear layers and the head.

    Every convolution is 3 x 3 with a bias and keeps its input's size; the pairs have 64, 128 and 256 channels.

    Args:
        pairs: how many pairs of convolutions.
        img_size: height and width of the images.
        widths: units of the hidden linear layers fc1, fc2, ...
        drop_rate: of dropout after each hidden linear layer; the paper uses 0.5 and does not say where.
    Raises:
        PlanError: the images are too small for the pools.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        img_size: int | Sequence[int] = 32,
        pairs: int = 1,
        widths: Sequence[int] = (256, 256),
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        if min(height, width) < 2**pairs:
            raise PlanError(f"conv{2 * pairs}: images of {height} x {width} are too small for {pairs} pools of 2")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_chans
        for pair in range(1, pairs + 1):
            for number in (2 * pair - 1, 2 * pair):
                layers[f"conv{number}"] = nn.Conv2d(channels, 32 * 2**pair, 3, padding=1)
                layers[f"relu{number}"] = nn.ReLU()
                channels = 32 * 2**pair
            layers[f"pool{pair}"] = nn.MaxPool2d(2)
        self.features = nn.Sequential(layers)
        hidden: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = channels * (height >> pairs) * (width >> pairs)
        for number, outputs in enumerate(widths, start=1):
            hidden[f"fc{number}"] = nn.Linear(inputs, outputs)
            hidden[f"relu{number}"] = nn.ReLU()
            hidden[f"drop{number}"] = nn.Dropout(drop_rate)
            inputs = outputs
        self.hidden = nn.Sequential(hidden)
        self.num_features = self.head_hidden_size = inputs
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the last hidden layer (batch, num_features)."""
        x = self.hidden(self.features(x).flatten(1))
        return x


def _built(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    model: nn.Module = build_model_with_cfg(ConvNet, name, pretrained, **arguments)
    return model


@register_model
def conv2(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """Conv-2: 4,300,992 weights on 32 x 32 x 3, of them 38,592 in convolutions; arguments are those of ConvNet."""
    return _built("conv2", pretrained, {"pairs": 1, "img_size": img_size, **arguments})


@register_model
def conv4(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """Conv-4: 2,425,024 weights on 32 x 32 x 3, of them 259,776 in convolutions; arguments are those of ConvNet."""
    return _built("conv4", pretrained, {"pairs": 2, "img_size": img_size, **arguments})


@register_model
def conv6(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """Conv-6: 2,261,184 weights on 32 x 32 x 3, of them 1,144,512 in convolutions; arguments are those of ConvNet."""
    return _built("conv6", pretrained, {"pairs": 3, "img_size": img_size, **arguments})
