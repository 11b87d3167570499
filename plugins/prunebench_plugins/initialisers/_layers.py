"""Fill the layers of a network: what all initialisers share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from prunebench import CannotTakePart
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
            _draw(name, module, lambda weight, name=name: draw(weight, rng.child(name).torch()))  # type: ignore[misc]
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, _NORMS):
            if module.weight is not None:
                module.weight.fill_(scale)
            # Of the norm layers in use some have no shift at all.
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    return model


def _draw(name: str, module: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Draw a layer's weight; one that is computed from parameters gets parameters that give what was drawn."""
    if "weight" in module._parameters:
        draw(module.get_parameter("weight"))
        return
    weight = torch.empty_like(module.weight)  # type: ignore[arg-type]
    draw(weight)
    if parametrize.is_parametrized(module, "weight"):
        try:
            module.weight = weight
        except (NotImplementedError, RuntimeError, ValueError) as error:
            raise CannotTakePart(
                f"{name}.weight is computed from others, and what gives a drawn one is not known: {error}"
            ) from error
        return
    for hook in module._forward_pre_hooks.values():
        if hasattr(hook, "compute_weight") and getattr(hook, "name", None) == "weight":
            if "weight_orig" in module._parameters:
                module.get_parameter("weight_orig").copy_(weight)
            else:
                dim = -1 if getattr(hook, "dim", 0) is None else getattr(hook, "dim", 0)
                module.get_parameter("weight_v").copy_(weight)
                module.get_parameter("weight_g").copy_(torch.norm_except_dim(weight, 2, dim))
            module.weight = hook.compute_weight(module).detach()
            return
    raise CannotTakePart(f"{name}.weight is no parameter, and how it comes about is not known: it cannot be drawn")
