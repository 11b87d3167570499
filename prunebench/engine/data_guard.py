"""Whether the data that a component was handed is still what it was: a check that costs one pass over memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import NoReturn

import numpy as np
import torch

from prunebench.api.data import Data, Split
from prunebench.api.errors import ContractError

_WORDS = 1 << 20
"""Words of eight bytes that are summed at a time: the products of one run stay in the cache."""
_ODD = 0x9E3779B97F4A7C15 - (1 << 64)


class _Train(dict[str, Split]):
    """The split "train", and an error for who asks for another."""

    def __init__(self, split: Split, who: str) -> None:
        super().__init__(train=split)
        self._who = who

    def __missing__(self, name: str) -> NoReturn:
        raise ContractError(
            f'{self._who} asked for the split "{name}"; what leads to a ticket looks at "train" alone, '
            "since it is judged on the others"
        )


def train_alone(data: Data, who: str) -> Data:
    """The data as a step towards a ticket may see them.

    Args:
        who: what an error begins with, where another split than "train" is asked for.
    """
    return replace(data, splits=_Train(data["train"], who), again=None)


def fingerprint_of(data: Data) -> Mapping[str, tuple[int | str, ...]]:
    """What each split holds, and the data's "info".

    Of a tensor a number, which changes (but for a chance of 2^-64) when an element does or moves; of plain values their
    text; of anything else which object it is.

    It is no digest of files: it costs one pass over memory on the tensors' own device, and one synchronisation each.
    """
    parts = {name: tuple(_of(split)) for name, split in data.splits.items()}
    return {**parts, "info": (repr(data.info),)}


def _of(value: object) -> Iterator[int | str]:
    """A value as numbers and texts; what dataclasses and lists hold, too."""
    if isinstance(value, torch.Tensor):
        yield f"{value.dtype} {tuple(value.shape)} {value.device}"
        yield _sum(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        yield from _of(torch.from_numpy(np.ascontiguousarray(value)))
    elif isinstance(value, str | bytes | int | float | complex | None):
        yield repr(value)
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield repr(name)
            yield from _of(part)
    elif isinstance(value, tuple | list):
        yield len(value)
        for part in value:
            yield from _of(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__qualname__
        for field in fields(value):
            yield from _of(getattr(value, field.name, None))
    else:
        # What it holds may change while it is read, such as a cache; only that it is the same can be asked.
        yield id(value)
        yield from (
            part for name in sorted(getattr(value, "__dict__", ())) for part in _tensors(value.__dict__[name], name)
        )


def _tensors(value: object, name: str) -> Iterator[int | str]:
    if isinstance(value, torch.Tensor | np.ndarray):
        yield name
        yield from _of(value)


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
