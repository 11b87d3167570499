"""Counter-based random streams, named by seed, purpose, round, draw and twin.

A stream's numbers depend on its name and a counter alone: not on hyper-parameters, on what ran before,
or on where a run was resumed. No torch at import time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Purpose = Literal[
    "split", "init", "order", "augment", "dropout", "loss", "score", "select", "prune", "ticket", "update", "analyse"
]
PURPOSES: tuple[str, ...] = get_args(Purpose)

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Rng:
    """One named stream. Every draw takes counters, so that any point of it can be reached directly."""

    name: str

    def child(self, label: str) -> Rng:
        """An independent stream under this one: two edits of one ticket must not share numbers."""
        return Rng(f"{self.name}/{label}")

    @cached_property
    def base(self) -> int:
        """64 bits that identify the stream."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "little")

    def numpy(self, *counters: int) -> np.random.Generator:
        """A NumPy generator (Philox) at these counters, at most three of them."""
        return np.random.Generator(self._philox(*counters))

    def torch(self, *counters: int, device: str = "cpu") -> torch.Generator:
        """A torch generator at these counters."""
        import torch

        generator = torch.Generator(device=device)
        generator.manual_seed(self.seed(*counters))
        return generator

    def seed(self, *counters: int) -> int:
        """63 bits at these counters, for generators that take a seed."""
        value = self.base
        for counter in counters:
            value = mix(value ^ (counter & _MASK64))
        return mix(value) >> 1

    def permutation(self, n: int, *counters: int) -> NDArray[np.int64]:
        """A permutation of range(n). Sorting raw bits: only bit generators promise never to change."""
        raw = self._philox(*counters).random_raw(n)
        order = np.argsort(raw)  # several times as fast as a stable sort
        ranked = raw[order]
        if bool((ranked[1:] == ranked[:-1]).any()):  # about never; only a stable sort breaks ties alike everywhere
            order = np.argsort(raw, kind="stable")
        return order

    def _philox(self, *counters: int) -> np.random.Philox:
        if len(counters) > 3:
            raise ValueError(f"a NumPy stream has three counters, not {len(counters)}")
        # In uint64 from the start: NumPy makes float64 of a list with 0 and a number above 2**63, which rounds it.
        counter = np.array([0, *(c & _MASK64 for c in counters), 0, 0, 0][:4], np.uint64)
        return np.random.Philox(counter=counter, key=np.array([self.base, 0], np.uint64))


def mix(value: int) -> int:
    """splitmix64's finaliser: neighbouring counters give unrelated seeds."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


@dataclass(frozen=True)
class Streams:
    """The streams of one phase. `round` is the find round; judging round r's ticket draws those of r + 1."""

    seed: int
    round: int = 0
    draw: int = 0
    twin: int = 0

    def rng(self, purpose: Purpose) -> Rng:
        """The stream for one purpose."""
        return Rng(f"{self.seed}/{purpose}/{self.round}/{self.draw}/{self.twin}")

    def to_json(self) -> dict[str, Any]:
        """For keys and phase descriptions."""
        return dict(vars(self))
