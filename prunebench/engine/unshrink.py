"""From the state of a shrunk network back to that of the whole one, zero where units were taken out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units

STATISTICS = ("running_mean", "running_var")
"""Buffers of a normalisation that are as long as its scale."""


class Unshrink:
    """Knows which values of each parameter and buffer a shrunk network has; they keep their order.

    Raises:
        ContractError: units that cannot be taken out, or a layer of which nothing is left.
    """

    def __init__(self, whole: nn.Module, units: Units, mask: Mask) -> None:
        if not any(units.members()):
            raise ContractError("shrunk: single weights cannot be taken out; leave it out, or prune channels")
        empty = [layer.name for layer, count in zip(units.layers, mask.counts, strict=True) if not count]
        if empty:
            raise ContractError(f"shrunk: nothing is left of layer {empty[0]}, so there is no network to train")
        self._whole = {name: value.detach().cpu().clone() for name, value in whole.state_dict().items()}
        self._keep = dict(units.expand(mask))
        for name in self._whole:
            module, _, buffer = name.rpartition(".")
            if buffer in STATISTICS and f"{module}.weight" in self._keep:
                self._keep[name] = self._keep[f"{module}.weight"]

    def state(self, shrunk: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole network's state on the CPU. Statistics of what is gone stay as they were when it went."""
        return {name: self._restored(name, shrunk[name].detach().cpu()) for name in self._whole}

    def _restored(self, name: str, value: Tensor) -> Tensor:
        keep = self._keep.get(name)
        if keep is None or bool(keep.all()):
            return value
        before = self._whole[name]
        whole = before.clone() if name.endswith(STATISTICS) else torch.zeros_like(before)
        whole[keep] = value.reshape(-1)
        return whole
