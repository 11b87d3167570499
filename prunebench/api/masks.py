"""Units, scores and masks: what is kept or removed as one, how much it is worth, what is kept."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from prunebench.api.info import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Scores:
    """One float per unit, a 1-D tensor for each layer of the units, in their order; higher survives."""

    values: tuple[Tensor, ...]

    @property
    def count(self) -> int:
        """How many units are scored."""
        return sum(v.numel() for v in self.values)

    def flat(self) -> Tensor:
        """All scores as one tensor of shape (units.count,)."""
        import torch

        return torch.cat([v.reshape(-1) for v in self.values])


@dataclass(frozen=True)
class Mask:
    """Which units are kept: a 1-D bool tensor for each layer of the units, in their order, on the CPU."""

    keep: tuple[Tensor, ...]

    @classmethod
    def full(cls, layers: Sequence[Layer]) -> Mask:
        """Every unit kept."""
        import torch

        return cls(tuple(torch.ones(layer.count, dtype=torch.bool) for layer in layers))

    @classmethod
    def from_flat(cls, keep: Tensor, layers: Sequence[Layer]) -> Mask:
        """From one bool tensor of shape (units.count,)."""
        import torch

        return cls(torch.split(keep.detach().cpu(), [layer.count for layer in layers]))

    @property
    def counts(self) -> tuple[int, ...]:
        """Units kept in each layer."""
        return tuple(int(k.sum()) for k in self.keep)

    @property
    def count(self) -> int:
        """Units kept."""
        return sum(self.counts)

    @property
    def size(self) -> int:
        """Units, kept or not."""
        return sum(k.numel() for k in self.keep)

    def flat(self) -> Tensor:
        """All units as one bool tensor of shape (units.count,)."""
        import torch

        return torch.cat([*self.keep]) if self.keep else torch.zeros(0, dtype=torch.bool)

    def issubset(self, other: Mask) -> bool:
        """Whether every unit kept here is kept there."""
        return len(self.keep) == len(other.keep) and all(
            a.shape == b.shape and not bool((a & ~b).any()) for a, b in zip(self.keep, other.keep, strict=True)
        )


@dataclass(frozen=True)
class Member:
    """What the units of one layer own of one parameter.

    Args:
        parameter: its qualified name.
        dim: the dimension along which units own slices.
        indices: int64 of shape (count, width): row u holds the slices that unit u owns.
        role: "out" for the weights that produce a channel, "in" for those that read it, "norm" for the scale of a
            normalisation, "bias" for its shift and for other biases.
    """

    parameter: str
    dim: int
    indices: Tensor
    role: Literal["out", "in", "norm", "bias"]

    def slices(self, values: Tensor) -> Tensor:
        """What each unit owns of the parameter's values (or scores of its shape): (count, everything else)."""
        rows = values.movedim(self.dim, 0)
        owned = rows.index_select(0, self.indices.reshape(-1).to(values.device))
        return owned.reshape(self.indices.shape[0], -1)


class Units(ABC):
    """What may be pruned in one model. Units are numbered layer by layer; a layer's units are contiguous."""

    layers: tuple[Layer, ...]
    excluded: Mapping[str, str] = MappingProxyType({})
    """What could have been units and is none, by the name of a parameter or a layer, with the reason."""

    @property
    def count(self) -> int:
        """How many units there are: the denominator of density."""
        return sum(layer.count for layer in self.layers)

    @abstractmethod
    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        """One score per unit from a function of (parameter name, weights) -> scores of the weights' shape."""

    @abstractmethod
    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        """For each parameter that the units touch, a bool tensor of its shape: what stays. On the CPU."""

    def members(self) -> Sequence[Sequence[Member]]:
        """For each layer, what its units own, parameter by parameter; empty for single weights."""
        return [()] * len(self.layers)

    def combine(self, scores: Sequence[Tensor]) -> Tensor:
        """One score a unit from the scores of its layer's members, each of shape (count,), by the units' own rule."""
        import torch

        return torch.stack([*scores]).sum(0)

    def shrink(self, model: nn.Module, mask: Mask) -> nn.Module:
        """A network that computes what the masked one does, as small as the units allow.

        Single weights cannot be taken out of a dense layer: unless the units say more, it is a masked copy.
        """
        import torch

        small = copy.deepcopy(model)
        keep = self.expand(mask)
        with torch.no_grad():
            for name, parameter in small.named_parameters():
                if name in keep:
                    parameter.masked_fill_(~keep[name].to(parameter.device), 0.0)
        return small
