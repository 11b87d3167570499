"""What each step of a dependency group cuts out of the parameters, or why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.instancenorm import _InstanceNorm

Role = Literal["out", "in", "norm", "bias", "group"]
Place = tuple[str, int, Role]
"""A parameter's name, the dimension that is cut, and what it does for a channel there.

The role "group" stands for the groups of a grouped convolution, which tie its inputs to its outputs; it is no slice.
"""
Slice = tuple[Place, int]
"""A place and an index along its dimension."""


def refusal(name: str, module: nn.Module) -> str | None:
    """Why channels that go through this module cannot be units, if they cannot."""
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        return f"{name} normalises over them: a channel that is 0 changes the others, one that is gone does not"
    if isinstance(module, _BatchNorm | _InstanceNorm):
        return None if module.affine else f"{name} has no scale and shift that they could own"
    if isinstance(module, _ConvTransposeNd) or not isinstance(module, _ConvNd | nn.Linear | nn.PReLU):
        return f"{name} ({type(module).__name__}) is not of a kind that can be cut"
    return None


def slices(name: str, module: nn.Module, index: int, *, out: bool) -> Iterator[Slice]:
    """The slices that channel `index` owns of a module that makes it (`out`) or reads it."""
    prefix = f"{name}." if name else ""
    weight, bias = f"{prefix}weight", f"{prefix}bias"
    if isinstance(module, _BatchNorm | _InstanceNorm):
        yield (weight, 0, "norm"), index
        yield (bias, 0, "bias"), index
    elif isinstance(module, nn.PReLU):
        if module.num_parameters > 1:
            yield (weight, 0, "bias"), index
    elif isinstance(module, _ConvNd) and module.groups > 1:
        per_group = (module.out_channels if out else module.in_channels) // module.groups
        yield (weight, 0, "group"), index // per_group
        if out:
            yield (weight, 0, "out"), index
            if module.bias is not None:
                yield (bias, 0, "bias"), index
    elif out:
        yield (weight, 0, "out"), index
        if module.bias is not None:
            yield (bias, 0, "bias"), index
    else:
        yield (weight, 1, "in"), index
