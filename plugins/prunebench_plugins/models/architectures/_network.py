"""What timm expects of a network beside its layers: features, and a classifier that can be found and replaced."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Network(nn.Module):
    """A network of `forward_features` and one linear layer.

    Subclasses set `num_classes` and `num_features`, have their classifier under the name that `classifier` holds, and
    define `forward_features`.
    """

    classifier: ClassVar[str] = "head"
    num_classes: int
    num_features: int

    def get_classifier(self) -> nn.Module:
        """The output layer."""
        return self.get_submodule(self.classifier)

    def reset_classifier(self, num_classes: int) -> None:
        """Put a fresh output layer in place; none (features) for 0 classes."""
        self.num_classes = num_classes
        setattr(self, self.classifier, nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity())

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """What `forward_features` gives to logits (batch, classes)."""
        logits: Tensor = x if pre_logits else self.get_classifier()(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to logits (batch, classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, channels, height, width) to what the output layer takes: (batch, num_features)."""
        return x.flatten(1)
