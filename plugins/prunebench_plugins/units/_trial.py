"""The proof of a group: on a twin of the network, masking half of it and removing that half must come to the same.

The graph says what is coupled; it does not say whether a channel of zeros is without effect on others (a softmax over
channels counts it), nor whether a module has sizes written into its code. What fails is found by halving, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from prunebench.api.masks import Mask
from prunebench.kernels.weight_units import masked_copy
from prunebench_plugins.units._channel_units import ChannelUnits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench_plugins.units._coupling import Group

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
"""Of the largest output; rounding stays well below."""


def failures(network: nn.Module, inputs: Tensor, groups: Sequence[Group]) -> dict[str, str]:
    """Names of the groups for which masked and removed differ, with the reasons; `network` is a twin."""
    reason = _difference(network, inputs, groups)
    if reason is None or not groups:
        return {}
    if len(groups) == 1:
        return {groups[0].name: reason}
    middle = len(groups) // 2
    found = failures(network, inputs, groups[:middle]) | failures(network, inputs, groups[middle:])
    return found or {group.name: f"with other groups: {reason}" for group in groups}


def _difference(network: nn.Module, inputs: Tensor, groups: Sequence[Group]) -> str | None:
    units = ChannelUnits(network, groups)
    mask = _half(groups)
    with torch.no_grad():
        masked = masked_copy(network, units.expand(mask))(inputs)
        try:
            small = units.shrink(network, mask)(inputs)
        except Exception as error:
            # Whatever a foreign network's code raises, the answer is that it cannot be smaller.
            return f"the network cannot run without some of them: {type(error).__name__}: {error}".splitlines()[0]
    if small.shape != masked.shape or not bool(masked.isfinite().all()):
        return "the network's output has another shape or is not finite"
    scale = float(masked.abs().max().clamp_min(1e-12))
    far = float((small - masked).abs().max()) / scale
    if far <= TOLERANCE[masked.dtype]:
        return None
    return f"a channel of zeros is not the same as none: outputs differ by up to {far:.1g} of the largest"


def _half(groups: Sequence[Group]) -> Mask:
    """Half of each group's units, at least one, the same for a group whatever the others are."""
    keep = []
    for group in groups:
        order = torch.randperm(group.count, generator=torch.Generator().manual_seed(group.count), device="cpu")
        kept = torch.zeros(group.count, dtype=torch.bool, device="cpu")
        kept[order[: (group.count + 1) // 2]] = True
        keep.append(kept)
    return Mask(tuple(keep))
