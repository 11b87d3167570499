"""The heads of multi-head attention as timm writes it: one linear layer for queries, keys and values.

Source: Michel et al. 2019 (heads as units).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from prunebench.api.masks import Member


def attentions(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules with `qkv` of three equal parts, each of `num_heads` heads of `head_dim`, and `proj`."""
    for name, module in network.named_modules():
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        number, width = getattr(module, "num_heads", None), getattr(module, "head_dim", None)
        if not (isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear)):
            continue
        if isinstance(number, int) and isinstance(width, int) and qkv.out_features == 3 * number * width:
            yield name, module


def heads(network: nn.Module) -> dict[str, list[Member]]:
    """By the name of each `qkv`, what its heads own."""
    found: dict[str, list[Member]] = {}
    for name, module in attentions(network):
        prefix = f"{name}." if name else ""
        number, width = module.num_heads, module.head_dim
        assert isinstance(number, int)
        assert isinstance(width, int)
        columns = torch.arange(number * width, device="cpu").view(number, width)
        rows = torch.cat([columns + part * number * width for part in range(3)], 1)
        owned = [Member(f"{prefix}qkv.weight", 0, rows, "out")]
        if module.get_submodule("qkv").bias is not None:
            owned.append(Member(f"{prefix}qkv.bias", 0, rows, "bias"))
        owned.append(Member(f"{prefix}proj.weight", 1, columns, "in"))
        found[f"{prefix}qkv"] = owned
    return found
