"""Batches to try a network on: of a task's example, as many as are wanted."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_like(example: Tensor, size: int, seed: int) -> Tensor:
    """A batch of `size` inputs on the CPU like an example (1, ...): noise, always the same for a seed.

    Where inputs are no floats, such as tokens, of which not every number is one, the example itself is repeated.
    """
    if not example.is_floating_point():
        return example.cpu().expand(size, *example.shape[1:]).clone()
    drawn = torch.Generator(device="cpu").manual_seed(seed)
    return torch.randn(size, *example.shape[1:], generator=drawn, device="cpu")
