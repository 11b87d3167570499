"""Keeping masked weights exactly zero: mask the gradient before each step, zero once at the start.

If weights and optimizer state are zero off the mask when a run starts, and the gradient is masked before each step,
SGD (momentum, Nesterov, either weight decay) and Adam keep the weights exactly zero; none is touched in the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import overload

import torch
from torch import Tensor, nn

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units


class MaskedParameters:
    """The parameters that a mask touches, with their masks as tensors for the step."""

    def __init__(self, model: nn.Module, units: Units, mask: Mask) -> None:
        keep = units.expand(mask)
        self.names = [name for name, _ in model.named_parameters() if name in keep]
        parameters = dict(model.named_parameters())
        self.parameters = [parameters[name] for name in self.names]
        # Same dtype and strides as the weights: torch's multi-tensor multiplication is slow for anything else.
        self._masks = [
            torch.empty_like(p, requires_grad=False).copy_(keep[n])
            for n, p in zip(self.names, self.parameters, strict=True)
        ]
        self.mask = mask

    def triples(self) -> Iterator[tuple[str, nn.Parameter, Tensor]]:
        """Each parameter with its name and its mask, a tensor of ones and zeros in the parameter's type."""
        yield from zip(self.names, self.parameters, self._masks, strict=True)

    def mask_gradients(self) -> None:
        """Zero the gradient of every pruned weight."""
        # A layer that no example passes has no gradient.
        pairs = [(p.grad, m) for p, m in zip(self.parameters, self._masks, strict=True) if p.grad is not None]
        if pairs:
            torch._foreach_mul_(*zip(*pairs, strict=True))

    @torch.no_grad()
    def zero_weights(self) -> None:
        """Make every pruned weight +0.0. Multiplying would leave -0.0, and NaN where a weight is infinite."""
        for parameter, mask in zip(self.parameters, self._masks, strict=True):
            parameter.masked_fill_(mask == 0, 0.0)

    @torch.no_grad()
    def moved(self) -> tuple[str, int] | None:
        """The first parameter with pruned weights that are not 0, and how many they are; None if all are."""
        outside = [p.masked_fill(mask != 0, 0.0) for p, mask in zip(self.parameters, self._masks, strict=True)]
        # One look at the device for all parameters together.
        counts = torch.stack([values.count_nonzero() for values in outside]).tolist() if outside else []
        return next(((name, count) for name, count in zip(self.names, counts, strict=True) if count), None)

    @torch.no_grad()
    def zero_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the optimizer's state of every pruned weight zero."""
        for parameter, mask in zip(self.parameters, self._masks, strict=True):
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.masked_fill_(mask == 0, 0.0)

    def gradients(self) -> Mapping[str, Tensor]:
        """The gradients as they are, by parameter name."""
        return {n: p.grad for n, p in zip(self.names, self.parameters, strict=True) if p.grad is not None}


def overlap(one: Mask, other: Mask) -> Mask:
    """The units that both keep."""
    return Mask(tuple(a & b for a, b in zip(one.keep, other.keep, strict=True)))


@overload
def handed(mask: Mask) -> Mask: ...
@overload
def handed(mask: None) -> None: ...
def handed(mask: Mask | None) -> Mask | None:
    """A copy for a component: what it does to that changes nothing of the mask that its answer is held against."""
    return None if mask is None else Mask(tuple(keep.clone() for keep in mask.keep))


def plain_mask(mask: object, units: Units, who: str) -> Mask:
    """A mask as it says that it is: true or false for every unit of every layer, in tensors of its own on the CPU.

    Raises:
        ContractError: it is something else, such as whole numbers, of which a 2 would count as two units.
    """
    if not isinstance(mask, Mask):
        raise ContractError(f"{who}: it returned {type(mask).__name__}, not a Mask")
    layers = mask.keep
    if not isinstance(layers, tuple | list) or len(layers) != len(units.layers):
        raise ContractError(f"{who}: the mask's layers do not have the units' sizes")
    for layer, keep in zip(units.layers, layers, strict=True):
        if not isinstance(keep, Tensor) or keep.dtype != torch.bool or keep.is_meta:
            found = f"{keep.dtype} on {keep.device}" if isinstance(keep, Tensor) else type(keep).__name__
            raise ContractError(f"{who}: the mask of layer {layer.name} is {found}, not a bool tensor")
        if keep.shape != (layer.count,):
            raise ContractError(
                f"{who}: the mask of layer {layer.name} has the shape {tuple(keep.shape)}, not ({layer.count},)"
            )
    # Copies: nobody changes the mask later through the tensors that it was made of.
    return Mask(tuple(keep.detach().cpu().clone() for keep in layers))
