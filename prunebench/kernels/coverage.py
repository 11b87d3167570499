"""How much of a network its units reach, and why the rest stays dense: what `density` alone does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from prunebench.api.masks import Mask, Units
from prunebench.kernels.parameter_kinds import FURTHER, parameter_kinds

REST = "no unit owns it"


@dataclass(frozen=True)
class Dense:
    """Parameters that stay dense for one reason: how many values they have, and their names."""

    reason: str
    values: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.names[:3]) + (f" and {len(self.names) - 3:,} more" if len(self.names) > 3 else "")
        return f"{self.reason}: {self.values:,} ({shown})"


@dataclass(frozen=True)
class Coverage:
    """Of all values of a network's parameters, those that units own, and the rest by reason, the largest first."""

    values: int
    prunable: int
    dense: tuple[Dense, ...]

    @property
    def share(self) -> float:
        """Of the values that units own."""
        return self.prunable / self.values if self.values else 0.0

    def __str__(self) -> str:
        head = f"{self.prunable:,} of {self.values:,} parameters may be pruned ({100 * self.share:.1f} %)"
        return "\n".join([head, *(f"    dense: {one}" for one in self.dense)])


def coverage(model: nn.Module, units: Units) -> Coverage:
    """What the units of a network reach; the model may be on the meta device.

    A parameter of which units own some values counts with those alone.
    """
    owned = {name: int((~keep).sum()) for name, keep in units.expand(_none(units)).items()}
    reasons = {**{name: REST for name, _ in model.named_parameters()}, **_by_kind(model), **units.excluded}
    rest: dict[str, list[tuple[str, int]]] = {}
    for name, parameter in model.named_parameters():
        left = parameter.numel() - owned.get(name, 0)
        if left:
            rest.setdefault(REST if name in owned else reasons[name], []).append((name, left))
    dense = [Dense(why, sum(n for _, n in those), tuple(name for name, _ in those)) for why, those in rest.items()]
    total = sum(parameter.numel() for parameter in model.parameters())
    return Coverage(total, sum(owned.values()), tuple(sorted(dense, key=lambda one: -one.values)))


def _none(units: Units) -> Mask:
    return Mask(tuple(torch.zeros(layer.count, dtype=torch.bool) for layer in units.layers))


def _by_kind(model: nn.Module) -> Mapping[str, str]:
    """What is said of parameters of which the units say nothing."""
    kinds = parameter_kinds(model)
    return {name: FURTHER[kind.kind] for name, kind in kinds.items() if kind.kind in FURTHER}
