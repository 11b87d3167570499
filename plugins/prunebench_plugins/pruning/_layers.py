"""What prunings share that go layer by layer: how many weights each layer keeps, its Hessian, what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from prunebench import ContractError
from prunebench.kernels.calibration import as_matrices
from prunebench.kernels.selection import keep_highest_above_floors
from prunebench.kernels.shares import above_floors, erk_weights, shared

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Units
    from prunebench.kernels.calibration import LayerInputs

Allocation = Literal["uniform", "erk", "magnitude"]
"""How many weights each layer keeps: the same share, Erdos-Renyi-kernel, or what a global cut by magnitude leaves."""

REMEMBER = 1 << 30
"""Bytes of activations that are kept between layers, so that each pass goes on where the one before it ended."""


def layer_counts(units: Units, mask: Mask, count: int, allocation: Allocation) -> list[int]:
    """How many units each layer keeps; the sum is `count`, and no layer falls below its floor or keeps dead ones."""
    floors = [layer.floor for layer in units.layers]
    if allocation == "magnitude":
        scores = units.reduce(lambda name, weight: weight.abs())
        return [int(kept.sum()) for kept in keep_highest_above_floors(scores.values, mask.keep, count, floors)]
    weights = [layer.count for layer in units.layers] if allocation == "uniform" else erk_weights(units.layers)
    return above_floors(shared(count, weights, mask.counts), floors, mask.counts)


def hessian(inputs: LayerInputs, name: str) -> tuple[Tensor, int]:
    """X X^T of what a layer reads in all examples, (groups, columns, columns) in float64, and over how many places.

    It is the Hessian of the squared error of each of its outputs, up to a factor that no result depends on.
    """
    total, places = torch.zeros(()), 0

    def add(name: str, columns: Tensor) -> None:
        nonlocal total, places
        total = total + (columns @ columns.mT).double()
        places += columns.shape[-1]

    inputs.look([name], add)
    return total, places


def damped(matrix: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """A Hessian with a share of its mean diagonal added to the diagonal, and which columns read nothing but zeros.

    Those columns, which would make it singular, get a 1.
    """
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    silent = diagonal == 0
    ridge = damping * diagonal.mean(-1, keepdim=True) + silent
    return matrix + torch.diag_embed(ridge.broadcast_to(diagonal.shape)), silent


@dataclass(frozen=True)
class LayerProblem:
    """What one layer is pruned by.

    Args:
        hessian: damped, (groups, columns, columns) in float64; `places`: over how many it is.
        weight: (groups, rows, columns) in float64, 0 in columns that read nothing but zeros.
        alive: bool of that shape.
    """

    hessian: Tensor
    places: int
    weight: Tensor
    alive: Tensor

    @property
    def size(self) -> int:
        """How many inputs each output has."""
        return self.hessian.shape[-1]


def problem_of(inputs: LayerInputs, name: str, parameter: Tensor, keep: Tensor, damping: float) -> LayerProblem:
    """A layer's problem; `keep` is its part of the mask."""
    matrix, places = hessian(inputs, name)
    matrix, silent = damped(matrix, damping)
    groups = inputs.groups[name]
    weight = as_matrices(parameter.detach(), groups).double().masked_fill(silent[:, None, :], 0.0)
    alive = as_matrices(keep.reshape(parameter.shape), groups).to(weight.device)
    return LayerProblem(matrix, places, weight, alive)


def inverse(matrix: Tensor, who: str, name: str, places: int) -> Tensor:
    """The inverse of a layer's Hessian.

    Raises:
        ContractError: it is singular; names the layer, and says what to do.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    # Rounding may hide a singular matrix from the factorisation, and not from the size of its pivots.
    pivots = factor.diagonal(dim1=-2, dim2=-1).square()
    if bool(failed.any()) or bool((pivots.amin(-1) < 1e-13 * pivots.amax(-1)).any()):
        raise ContractError(
            f'{who}: the Hessian of layer "{name}" is singular: {places:,} places were seen, and it has '
            f"{matrix.shape[-1]:,} inputs; state a `damping` above 0, such as 0.01, or more `batches`"
        )
    return torch.cholesky_inverse(factor)


def said(few: Sequence[tuple[str, int, int]], damping: float) -> tuple[str, ...]:
    """What a reader must know of layers with fewer places than inputs: (name, places, inputs) of each."""
    if not few:
        return ()
    name, places, inputs = few[0]
    layers = "1 layer was" if len(few) == 1 else f"{len(few)} layers were"
    have = "it has" if len(few) == 1 else "they have"
    return (
        f"{layers} calibrated at fewer places than {have} inputs ({name}: {places:,} of {inputs:,}), "
        f"where the Hessian rests on its damping of {damping:g}",
    )
