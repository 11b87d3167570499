"""How much of a network its units reach, and why the rest stays dense: what `density` alone does not say."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from prunebench.api.info import Coverage, Dense
from prunebench.api.masks import Mask, Units
from prunebench.kernels.parameter_kinds import FURTHER, parameter_kinds

REST = "no unit owns it"


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
