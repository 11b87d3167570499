"""Fill the layers of a network: what all initialisers share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from prunebench.api.random import Rng

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


@torch.no_grad()
def fill(
    model: nn.Module, rng: Rng, draw: Callable[[Tensor, torch.Generator], object], scale: float = 1.0
) -> nn.Module:
    """Draw the weights of convolutions and linear layers, in place.

    Their biases become 0, the scales of norm layers `scale` and their shifts 0. All else (tokens, position embeddings)
    stays as the constructor left it. Each layer draws from a stream of its own name, so layers do not depend on
    what else the network holds.
    """
    for name, module in model.named_modules():
        if isinstance(module, _ConvNd | nn.Linear):
            draw(module.weight, rng.child(name).torch())
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, _NORMS):
            if module.weight is not None:
                module.weight.fill_(scale)
            # Of the norm layers in use some have no shift at all.
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    return model
