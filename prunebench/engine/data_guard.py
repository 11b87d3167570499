"""Whether the data that a component was handed is still what it was: a check that costs one pass over memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from prunebench.api.data import Data

_WORDS = 1 << 20
"""Words of eight bytes that are summed at a time: the products of one run stay in the cache."""
_ODD = 0x9E3779B97F4A7C15 - (1 << 64)


def fingerprint_of(data: Data) -> Mapping[str, tuple[int, ...]]:
    """A number for each tensor of each split, which changes (but for a chance of 2^-64) when an element does or moves.

    It is no digest of files: it costs one pass over memory on the tensors' own device, and one synchronisation each.
    """
    return {name: tuple(_sum(tensor) for tensor in _tensors(split)) for name, split in data.splits.items()}


def _tensors(split: object) -> Iterator[torch.Tensor]:
    fields = {**getattr(split, "__dict__", {})}
    return (fields[name] for name in sorted(fields) if isinstance(fields[name], torch.Tensor))


def _sum(tensor: torch.Tensor) -> int:
    """A sum of all bytes in words of eight, each times an odd number of its own, modulo 2^64."""
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    whole = flat.numel() // 8 * 8
    words = flat[:whole].view(torch.int64) if whole else flat.new_zeros(0, dtype=torch.int64)
    factors = torch.arange(_WORDS, dtype=torch.int64, device=tensor.device).mul_(2).add_(1).mul_(_ODD)
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for part in torch.split(words, _WORDS):
        # Horner's rule over the parts: two that change places give another number.
        total = total * _ODD + (part * factors[: part.numel()]).sum() + 1
    rest = int.from_bytes(bytes(flat[whole:].tolist()), "little")
    return (int(total) * 31 + rest * 7 + flat.numel()) % (1 << 64)
