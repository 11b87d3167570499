"""Taking slices out of a network's parameters, and telling its modules their new sizes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from prunebench_plugins.units._attention import attentions

Kept = Mapping[tuple[str, int], Tensor]
"""By parameter and dimension, the indices that stay, in order."""


def keep_only(small: nn.Module, kept: Kept) -> nn.Module:
    """The same module, its parameters with only what is kept along the dimensions that `kept` names."""
    at_attention = [module for _, module in attentions(small)]
    made: dict[int, nn.Parameter] = {}
    with torch.no_grad():
        for name, module in small.named_modules():
            prefix = f"{name}." if name else ""
            if isinstance(module, _BatchNorm | _InstanceNorm):
                _cut_statistics(module, kept.get((f"{prefix}weight", 0)))
            for own, parameter in list(module.named_parameters(recurse=False)):
                # A parameter that two modules share stays shared.
                if id(parameter) in made:
                    setattr(module, own, made[id(parameter)])
                    continue
                cut = _cut(parameter, {d: kept[n, d] for n, d in kept if n == f"{prefix}{own}"})
                made[id(parameter)] = made[id(cut)] = cut
                setattr(module, own, cut)
    for module in small.modules():
        _tell(module)
    for module in at_attention:
        _tell_attention(module)
    return small


def _cut(parameter: nn.Parameter, kept: Mapping[int, Tensor]) -> nn.Parameter:
    if not kept:
        return parameter
    values = parameter.detach()
    for dim, indices in kept.items():
        values = values.index_select(dim, indices.to(values.device))
    return nn.Parameter(values.clone(), requires_grad=parameter.requires_grad)


def _cut_statistics(module: nn.Module, indices: Tensor | None) -> None:
    for name in ("running_mean", "running_var"):
        statistics = getattr(module, name, None)
        if indices is not None and isinstance(statistics, Tensor):
            setattr(module, name, statistics.index_select(0, indices.to(statistics.device)))


def _tell(module: nn.Module) -> None:
    if isinstance(module, _ConvNd):
        if module.groups > 1:
            module.groups = module.weight.shape[0] // (module.out_channels // module.groups)
        module.out_channels, module.in_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _BatchNorm | _InstanceNorm) and module.weight is not None:
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = module.weight.shape[0]


def _tell_attention(module: nn.Module) -> None:
    width = getattr(module, "head_dim", 0)
    number = module.get_parameter("qkv.weight").shape[0] // (3 * width)
    for name, value in (("num_heads", number), ("attn_dim", number * width)):
        if hasattr(module, name):
            setattr(module, name, value)
