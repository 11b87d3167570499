"""WoodFisher: weights go by what their loss is under a block-diagonal Fisher matrix, and the others make up for it.

F = damping * I + the mean of g g^T over gradients of the loss, in blocks of consecutive weights of a layer. Its inverse
comes from one rank-one update (Woodbury's) for each gradient. Weight q costs w_q^2 / (2 [F^-1]_qq) and is compared
across the network; what goes in one block goes together, with the best change of the block's survivors. Batch norm uses
its running statistics; examples are un-augmented.

Source: Singh & Alistarh 2020 (WoodFisher), equations 7 to 12; Kurtic et al. 2022 (The optimal BERT surgeon), section
3.1 (blocks, and a joint update of each).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task
    from prunebench.api.tickets import Pruned


class WoodFisherConfig(ComponentConfig):
    """How the Fisher matrix is taken.

    Args:
        gradients: how many are looked at.
        batch: training examples of one gradient; 1 is the empirical Fisher matrix, more are cheaper and smoother.
        block: weights of a block. Memory is `block` numbers for each weight.
        damping: what the diagonal starts with, so that the inverse exists.
        update: whether the survivors make up for what goes; without it the score alone is used.
    """

    gradients: int = Field(default=128, ge=1)
    batch: int = Field(default=1, ge=1)
    block: int = Field(default=32, ge=1)
    damping: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    update: bool = True


class WoodFisher:
    """Prunes globally by w^2 / (2 [F^-1]_qq) and updates each block."""

    def __init__(self, config: WoodFisherConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "woodfisher")

    @hookimpl
    def prunebench_prune(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask, count: int, rng: Rng
    ) -> Pruned:
        """The `count` weights that cost most, and the survivors' new values."""
        from prunebench.api.masks import Mask
        from prunebench.api.tickets import Pruned
        from prunebench.kernels.selection import keep_highest_above_floors
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe

        config, twin = self._config, probe(model, "running")
        alive = {layer.name: self._blocks(kept) for layer, kept in zip(units.layers, mask.keep, strict=True)}
        weights = {layer.name: self._blocks(model.get_parameter(layer.name).detach()) for layer in units.layers}
        inverses = {name: identities(weight, config.damping) for name, weight in weights.items()}
        for taken, targets in drawn(data, task, rng, config.batch, config.gradients):
            found = gradients(twin, loss_of(twin, task, taken, targets))
            for name, matrices in inverses.items():
                # A dead weight makes up for nothing.
                slope = self._blocks(found[name]).double().masked_fill(~alive[name].to(found[name].device), 0.0)
                add(matrices, slope, config.gradients)
        scores = []
        for layer in units.layers:
            diagonal = inverses[layer.name].diagonal(dim1=-2, dim2=-1)
            scores.append((weights[layer.name].double().square() / (2 * diagonal)).reshape(-1)[: layer.count])
        floors = [layer.floor for layer in units.layers]
        kept = Mask(keep_highest_above_floors(scores, mask.keep, count, floors))
        new = {}
        for layer, stays in zip(units.layers, kept.keep, strict=True):
            weight, parameter = weights[layer.name], model.get_parameter(layer.name).detach()
            keep = self._blocks(stays).to(weight.device)
            moved = updated(weight.double(), keep, inverses[layer.name]) if config.update else weight.double()
            flat = moved.masked_fill(~keep, 0.0).reshape(-1)[: layer.count]
            new[layer.name] = flat.reshape(parameter.shape).to(parameter.dtype)
        return Pruned(kept, new)

    def _blocks(self, values: Tensor) -> Tensor:
        """A layer's values in blocks, the last one filled with zeros."""
        from torch.nn import functional

        flat = values.reshape(-1)
        return functional.pad(flat, (0, -flat.numel() % self._config.block)).reshape(-1, self._config.block)


def identities(weight: Tensor, damping: float) -> Tensor:
    """The inverse of damping * I for each block: (blocks, size, size) in float64."""
    import torch

    blocks, size = weight.shape
    return (torch.eye(size, dtype=torch.float64, device=weight.device) / damping).repeat(blocks, 1, 1)


def add(inverses: Tensor, gradient: Tensor, of: int) -> None:
    """The inverses after gradient gradient^T / of is added to their matrices, in place (Sherman & Morrison)."""
    moved = (inverses @ gradient[..., None])[..., 0]
    divisor = of + (gradient * moved).sum(-1)
    inverses.sub_(moved[:, :, None] * (moved / divisor[:, None])[:, None, :])


def updated(weight: Tensor, keep: Tensor, inverses: Tensor) -> Tensor:
    """Each block after what does not stay is gone: w - F^-1[:, q] (F^-1[q, q])^-1 w_q."""
    import torch

    both = (~keep)[:, :, None] & (~keep)[:, None, :]
    system = torch.where(both, inverses, torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device))
    multipliers = torch.linalg.solve(system, weight.masked_fill(keep, 0.0))
    change: Tensor = (inverses @ multipliers.masked_fill(keep, 0.0)[..., None])[..., 0]
    return weight - change


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `woodfisher`."""
    yield Component("woodfisher", WoodFisherConfig, WoodFisher, version=1, paper="Singh & Alistarh 2020")
