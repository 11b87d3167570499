"""The vanilla CNN: seven convolutions without normalisation, for measuring how networks use their weights.

Source: "An empirical study of a pruning mechanism" 2021, appendix A.2.1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from prunebench import PlanError
from prunebench_plugins.models.architectures._network import Network

__all__ = ["VanillaCnn", "vanilla_cnn"]

STAGES = ((16, 3), (32, 2), (64, 2))
"""Channels and convolutions between the pools."""

default_cfgs = generate_default_cfgs({"vanilla_cnn": {"first_conv": "features.conv1", "classifier": "head"}})


class VanillaCnn(Network):
    """Convolutions 3 x 3 with a bias in three stages of 16, 32 and 64 channels, a pool of 2 between them, the mean over
    pixels, `head`.

    Args:
        img_size: height and width of the images; no weight depends on it.
        width: multiplies the channels, so about its square the weights. The paper's own smaller networks are as wide
            and have weights taken out.
    Raises:
        PlanError: the images are too small for two pools, or no channel is left.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        img_size: int | Sequence[int] = 32,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        height, across = (img_size, img_size) if isinstance(img_size, int) else img_size
        if min(height, across) < 4:
            raise PlanError(f"vanilla_cnn: images of {height} x {across} are too small for two pools of 2")
        if round(STAGES[0][0] * width) < 1:
            raise PlanError(f"vanilla_cnn: width {width} leaves no channel")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs, number = in_chans, 0
        for stage, (channels, depth) in enumerate(STAGES):
            if stage > 0:
                layers[f"pool{stage}"] = nn.MaxPool2d(2)
            outputs = round(channels * width)
            for _ in range(depth):
                number += 1
                layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, 3, padding=1)
                layers[f"relu{number}"] = nn.ReLU()
                inputs = outputs
        self.features = nn.Sequential(layers)
        self.num_features = self.head_hidden_size = inputs
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the mean over pixels of the last stage (batch, num_features)."""
        x = self.features(x)
        return x.mean((2, 3))


@register_model
def vanilla_cnn(pretrained: bool = False, img_size: int | Sequence[int] = 32, **arguments: Any) -> nn.Module:
    """The vanilla CNN: 74,800 weights on 3 channels, 640 of them in the head; arguments are those of VanillaCnn."""
    model: nn.Module = build_model_with_cfg(VanillaCnn, "vanilla_cnn", pretrained, img_size=img_size, **arguments)
    return model
