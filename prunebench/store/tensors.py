"""Tensors as bytes and back, without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def dump_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors: contiguous copies on the CPU. Equal tensors give equal bytes, in whatever order."""
    import torch
    from safetensors.torch import save

    # copies, since tensors that share memory (tied weights) are refused
    return save(
        {
            name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
    )


def load_tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of `dump_tensors`, on the CPU, each with memory of its own, in the order of their names."""
    from safetensors.torch import load

    # Sorted, since safetensors gives them in another order at each call, and whoever adds them up rounds by the order;
    # cloned, since views into the file's bytes have any alignment, and vector code may round by alignment.
    return {name: tensor.clone() for name, tensor in sorted(load(data).items())}
