"""A component's hook, contained: what it raises is named after it, and what it changes globally is found and undone.

A component may do what it likes with what it is given, but the numbers of other entries must not depend on it. So each
call begins from the state that the one before it began from, and a call that leaves another behind is an error.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from prunebench.api.component import BoundComponent
from prunebench.api.data import Data
from prunebench.api.errors import ContractError, PrunebenchError
from prunebench.api.untrusted_text import describe

_WORDS = 1 << 20
"""Words of eight bytes that are summed at a time: the products of one run stay in the cache."""
_ODD = 0x9E3779B97F4A7C15 - (1 << 64)


@dataclass(frozen=True)
class _Setting:
    """One piece of state that every computation of a process shares."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _restore_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _restore_device(device: torch.device) -> None:
    # "cpu" in so many words would leave a mode behind that every later call of torch goes through.
    torch.set_default_device(None if device.type == "cpu" else device)


_SETTINGS = (
    _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    _Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
    _Setting("torch's default device", torch.get_default_device, _restore_device),
    _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    _Setting("torch's deterministic algorithms", _deterministic, _restore_deterministic),
    _Setting(
        "torch's precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    _Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    _Setting("torch's random generator", torch.get_rng_state, torch.set_rng_state),
    _Setting("NumPy's random generator", lambda: np.random.get_state(legacy=True), np.random.set_state),
    _Setting("Python's random generator", random.getstate, random.setstate),
)


@contextmanager
def contained(component: BoundComponent, hook: str, passing: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Run a hook of a component; global state is afterwards as it was before, whatever happens.

    Args:
        passing: exceptions of the engine's own that a hook may let through, as when it reads an input.
    Raises:
        ContractError: the component raised something that is not prunebench's own error, left the program (`sys.exit`),
            or changed global state; names the component, its distribution and the hook.
    """
    before = [setting.read() for setting in _SETTINGS]
    try:
        yield
    except (PrunebenchError, *passing):  # type: ignore[misc]
        _restored(before)
        raise
    except (Exception, SystemExit) as error:
        _restored(before)
        raise ContractError(f"component {component}: {hook} failed: {describe(error)}") from error
    except BaseException:
        _restored(before)
        raise
    changed = _restored(before)
    if changed:
        raise ContractError(
            f"component {component}: {hook} changed {' and '.join(changed)}, which all computations of the process "
            "share; a component leaves it as it was, and draws from `rng` alone"
        )


def _restored(before: list[Any]) -> list[str]:
    """Put every setting back; the names of those that had changed."""
    changed = []
    for setting, value in zip(_SETTINGS, before, strict=True):
        if not _same(setting.read(), value):
            changed.append(setting.name)
            setting.write(value)
    return changed


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
