"""What a plugin's answer must be: checked before any of it is stored."""

from __future__ import annotations

import torch
from torch import Tensor

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Scores, Units
from prunebench.engine.masking import plain_mask
from prunebench.kernels.selection import first_nan


def check_scores(scores: object, units: Units, who: str) -> Scores:
    """Scores that are.

    Raises:
        ContractError: not Scores, a wrong length, not floats, or a NaN, with the layer's name.
    """
    if not isinstance(scores, Scores):
        raise ContractError(f"{who}: it returned {type(scores).__name__}, not Scores")
    if not isinstance(scores.values, tuple | list):
        raise ContractError(f"{who}: the scores are {type(scores.values).__name__}, not a tensor for each layer")
    for values in scores.values:
        if not isinstance(values, Tensor) or values.dim() != 1 or values.is_meta or values.layout != torch.strided:
            what = f"a tensor of shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
            raise ContractError(f"{who}: {what} among the scores, not a 1-D tensor of numbers for each layer")
    sizes = [int(v.numel()) for v in scores.values]
    wanted = [layer.count for layer in units.layers]
    if sizes != wanted:
        where = next((n for n, (a, b) in enumerate(zip(sizes, wanted, strict=False)) if a != b), None)
        detail = "" if where is None else f" (layer {units.layers[where].name}: {sizes[where]:,} of {wanted[where]:,})"
        raise ContractError(f"{who}: it scored {sum(sizes):,} units of {sum(wanted):,}{detail}")
    for layer, values in zip(units.layers, scores.values, strict=True):
        if not values.is_floating_point():
            raise ContractError(f"{who}: the scores of layer {layer.name} are {values.dtype}, not floats")
    index = first_nan(scores.values)
    if index is not None:
        raise ContractError(f"{who}: NaN among the scores of layer {units.layers[index].name}")
    return scores


def check_mask(mask: object, alive: Mask, count: int, units: Units, who: str) -> Mask:
    """A mask of exactly `count` of the units alive.

    Raises:
        ContractError: not a Mask, a revived unit, or another count than was asked for.
    """
    mask = plain_mask(mask, units, who)
    for layer, new, old in zip(units.layers, mask.keep, alive.keep, strict=True):
        revived = int((new & ~old).sum())
        if revived:
            raise ContractError(f"{who}: it revived {revived:,} pruned units of layer {layer.name}")
    if mask.count != count:
        raise ContractError(f"{who}: it kept {mask.count:,} units; {count:,} were asked for")
    return mask
