"""The values of pruned weights, where a rule lets them live on: beside the network, whose own weights are 0 there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from prunebench.api.errors import ContractError
from prunebench.api.training import MaskUpdate
from prunebench.engine.masking import MaskedParameters

Kind = Literal["frozen", "trained"]


class PrunedValues:
    """What the pruned weights of a run would be, by parameter name; 0 where a weight is kept.

    Args:
        kind: whether the optimizer goes on with them ("trained") or not ("frozen").
    """

    def __init__(self, kind: Kind, masked: MaskedParameters) -> None:
        self.kind: Kind = kind
        self.values = {name: torch.zeros_like(p) for name, p in zip(masked.names, masked.parameters, strict=True)}

    @torch.no_grad()
    def reveal(self, masked: MaskedParameters) -> None:
        """Put them into the network: exact, since each weight is 0 on one of the two sides."""
        for name, parameter, mask in masked.triples():
            parameter.copy_(torch.where(mask == 0, self.values[name], parameter))

    @torch.no_grad()
    def hide(self, masked: MaskedParameters) -> None:
        """Take what the mask prunes out of the network again."""
        for name, parameter, mask in masked.triples():
            self.values[name].copy_(parameter.masked_fill(mask != 0, 0.0))
            parameter.masked_fill_(mask == 0, 0.0)

    @torch.no_grad()
    def restore(self, values: Mapping[str, Tensor]) -> None:
        """As a checkpoint left them."""
        for name, value in self.values.items():
            value.copy_(values[name])


def kept_by(updates: Sequence[MaskUpdate], masked: MaskedParameters | None) -> PrunedValues | None:
    """What the rules of a run ask to be kept; None if they ask for nothing.

    Raises:
        ContractError: several rules that do not agree.
    """
    kinds = {update.pruned for update in updates}
    if len(kinds) > 1:
        raise ContractError(
            f"mask_updates: some let pruned weights be {' and some '.join(sorted(kinds))}, and one network cannot have "
            "both; name one of them"
        )
    kind = kinds.pop() if kinds else "zero"
    if kind == "zero":
        return None
    assert masked is not None
    return PrunedValues(kind, masked)
