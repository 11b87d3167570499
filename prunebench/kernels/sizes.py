"""Bytes that a network's tensors take, dense or with only what a mask keeps."""

from __future__ import annotations

from prunebench.api.masks import Mask, Units
from prunebench.api.tickets import State


def dense_bytes(state: State) -> int:
    """All of every tensor."""
    return sum(value.numel() * value.element_size() for value in state.values())


def kept_bytes(state: State, units: Units, mask: Mask) -> int:
    """The kept values of each tensor and one bit for each of its elements, or all of it if that is less."""
    saved = 0
    for name, keep in units.expand(mask).items():
        gone = int((~keep).sum()) * state[name].element_size()
        saved += max(0, gone - (keep.numel() + 7) // 8)
    return dense_bytes(state) - saved
