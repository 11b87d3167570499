"""LeNet-300-100, the fully connected network of LeCun et al. 1998.

Source: LeCun et al. 1998, section III.C; Frankle & Carbin 2019, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

__all__ = ["LeNet300100", "lenet_300_100"]

# Without an entry timm logs a warning for every network that it builds.
default_cfgs = generate_default_cfgs({"lenet_300_100": {"first_conv": None, "classifier": "head"}})


class LeNet300100(nn.Module):
    """Linear layers fc1, fc2, ... and head, with rectifiers between: 266,200 weights and 410 biases on 28 x 28 x 1.

    Args:
        widths: units of the hidden layers.
        img_size: height and width of the images.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 1,
        img_size: int | Sequence[int] = 28,
        widths: Sequence[int] = (300, 100),
    ) -> None:
        super().__init__()
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        sizes = [in_chans * height * width, *widths]
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = sizes[-1]
        self.hidden = len(widths)
        for index in range(self.hidden):
            self.add_module(f"fc{index + 1}", nn.Linear(sizes[index], sizes[index + 1]))
        self.head: nn.Module = nn.Linear(sizes[-1], num_classes)

    def get_classifier(self) -> nn.Module:
        """The output layer."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Put a fresh output layer in place; none (features) for 0 classes."""
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to the last hidden layer."""
        x = x.flatten(1)
        for index in range(self.hidden):
            x = self.get_submodule(f"fc{index + 1}")(x).relu()
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last hidden layer to logits (batch, classes)."""
        logits: Tensor = x if pre_logits else self.head(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to logits (batch, classes)."""
        return self.forward_head(self.forward_features(x))


@register_model
def lenet_300_100(pretrained: bool = False, img_size: int | Sequence[int] = 28, **arguments: Any) -> nn.Module:
    """LeNet-300-100; arguments are those of LeNet300100."""
    model: nn.Module = build_model_with_cfg(LeNet300100, "lenet_300_100", pretrained, img_size=img_size, **arguments)
    return model
