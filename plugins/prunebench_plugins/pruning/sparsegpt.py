"""SparseGPT: layer by layer, columns are pruned from left to right, and those to the right make up for each.

Each layer is fitted to what its dense weights gave on calibration images, with the Hessian H = X X^T of its inputs: a
pruned weight's error goes to the columns that are still to come, along the rows of the Cholesky factor of H^-1. Which
weights go is decided for a block of columns at a time, by w^2 / [H^-1]_jj^2 with the updates so far. Later layers read
what the pruned earlier ones give them. A convolution is a product with patches, one for each of its groups.

Source: Frantar & Alistarh 2023 (SparseGPT), algorithm 1 and section 3.4 (N:M).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.info import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task
    from prunebench.api.tickets import Pruned

WHO = "prune sparsegpt"


class SparseGPTConfig(ComponentConfig):
    """How layers are pruned.

    Args:
        batch, batches: the training examples that are looked at, which are held in memory; the paper takes 128.
        damping: what is added to the Hessian's diagonal, as a share of its mean.
        block: columns for which the mask is chosen at a time.
        layers: how many weights each layer keeps: the same share ("uniform", the paper's), in proportion to its
            dimensions ("erk"), or as many as a global cut by magnitude would leave in it ("magnitude").
        pattern: "N:M", such as "2:4", in place of free masks: N of every M neighbouring inputs stay.
        rest: what becomes of layers whose number of inputs M does not divide.
    """

    batch: int = Field(default=32, ge=1)
    batches: int = Field(default=4, ge=1)
    damping: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    block: int = Field(default=128, ge=1)
    layers: Literal["uniform", "erk", "magnitude"] = "uniform"
    pattern: str | None = None
    rest: Literal["refuse", "dense"] = "refuse"

    @field_validator("pattern")
    @classmethod
    def _a_pattern(cls, pattern: str | None) -> str | None:
        from prunebench.kernels.patterns import parse_n_of_m

        if pattern is not None:
            parse_n_of_m(pattern)
        return pattern


class SparseGPT:
    """Prunes and updates layer after layer, in the order of the forward pass."""

    def __init__(self, config: SparseGPTConfig) -> None:
        from prunebench.kernels.patterns import parse_n_of_m

        self._config = config
        self._pattern = None if config.pattern is None else parse_n_of_m(config.pattern)

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where other things are pruned than weights of convolutions and linear layers."""
        from prunebench_plugins.scores._weights import refuse_other_layers

        refuse_other_layers(request, "sparsegpt")

    @hookimpl
    def prunebench_count(self, layers: Sequence[Layer], count: int) -> int:
        """What is asked for, or with a pattern what it leaves.

        Raises:
            PlanError: another density than the pattern's, or a layer that it does not divide.
        """
        from prunebench.kernels.patterns import n_of_m_count

        if self._pattern is None:
            return count
        return n_of_m_count("sparsegpt", layers, *self._pattern, self._config.rest, count)

    @hookimpl
    def prunebench_prune(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask, count: int, rng: Rng
    ) -> Pruned:
        """Exactly `count` weights, and the survivors' new values.

        Memory: one layer's Hessian at a time (8 c^2 bytes for c inputs, and some copies of it), the examples, what the
        network holds while a `batch` of them passes, and up to a gigabyte of activations between layers. Of networks
        for images the activations are the most: for EfficientNet-Lite0 at 224 pixels, whose largest Hessian has 10 MiB,
        700 MiB for a batch of 32 and 300 MiB for one of 8.

        Raises:
            ContractError: what a layer reads is not known, or its Hessian is singular.
        """
        import torch

        from prunebench.api.masks import Mask
        from prunebench.api.tickets import Pruned
        from prunebench.kernels.calibration import LayerInputs, drawn
        from prunebench.kernels.patterns import divided_by_m
        from prunebench_plugins.pruning._layers import REMEMBER, inverse, layer_counts, problem_of, said

        config, place = self._config, {layer.name: index for index, layer in enumerate(units.layers)}
        batches = (x for x, _ in drawn(data, task, rng, config.batch, config.batches))
        inputs = LayerInputs(WHO, model, batches, place, REMEMBER)
        if self._pattern is None:
            counts = layer_counts(units, mask, count, config.layers)
            stay = [kept == alive for kept, alive in zip(counts, mask.counts, strict=True)]
        else:
            counts, stay = [], [not fits for fits in divided_by_m(WHO, units.layers, self._pattern[1], config.rest)]
        keep, few = list(mask.keep), []
        for name in inputs.order:
            index = place[name]
            if stay[index]:
                continue
            parameter = model.get_parameter(name)
            layer = problem_of(inputs, name, parameter, mask.keep[index], config.damping)
            if layer.places < layer.size:
                few.append((name, layer.places, layer.size))
            order = self._order(parameter.shape).to(layer.weight.device)
            ordered = layer.hessian[:, order][:, :, order]
            upper = torch.linalg.cholesky(inverse(ordered, WHO, name, layer.places), upper=True)
            wanted = None if self._pattern is not None else counts[index]
            new, kept = self._swept(layer.weight[..., order], layer.alive[..., order], upper, wanted)
            back = order.argsort()
            with torch.no_grad():
                parameter.copy_(new[..., back].reshape(parameter.shape))
            keep[index] = kept[..., back].reshape(-1).cpu()
        weights = {name: model.get_parameter(name).detach() for name, index in place.items() if not stay[index]}
        return Pruned(Mask(tuple(keep)), weights, said(few, config.damping))

    def _order(self, shape: Sequence[int]) -> Tensor:
        """The order in which columns are gone through; with a pattern, neighbours are input channels."""
        import torch

        columns = torch.arange(prod(shape[1:]))
        return columns if self._pattern is None else columns.reshape(shape[1], -1).T.reshape(-1)

    def _swept(self, weight: Tensor, alive: Tensor, upper: Tensor, count: int | None) -> tuple[Tensor, Tensor]:
        """New weights and what stays, both (groups, rows, columns), from left to right.

        Args:
            upper: the upper Cholesky factor of the inverse Hessian, (groups, columns, columns).
            count: how many stay; None with a pattern.
        """
        import torch

        from prunebench.kernels.selection import keep_highest
        from prunebench.kernels.shares import shared

        weight, keep, size = weight.clone(), alive.clone(), weight.shape[-1]
        m = 1 if self._pattern is None else self._pattern[1]
        block = max(m, self._config.block // m * m)
        starts = range(0, size, block)
        if count is not None:
            living = [int(alive[..., start : start + block].sum()) for start in starts]
            counts = shared(count, living, living)
        pivots = upper.diagonal(dim1=-2, dim2=-1)[:, None, :]
        for number, start in enumerate(starts):
            end = min(start + block, size)
            here = slice(start, end)
            if count is not None:
                worth, living_here = (weight[..., here] / pivots[..., here]).square(), alive[..., here]
                kept = counts[number]
                flat = keep_highest((worth.reshape(-1),), (living_here.reshape(-1),), kept)[0] if kept else None
                chosen = torch.zeros_like(living_here) if flat is None else flat.reshape(worth.shape)
                keep[..., here] = chosen.to(weight.device)
            errors = torch.zeros_like(weight[..., here])
            for column in range(start, end):
                if self._pattern is not None and column % m == 0:
                    keep[..., column : column + m] = self._of_m(weight, alive, pivots, column)
                lost = torch.where(keep[..., column], 0.0, weight[..., column]) / upper[:, None, column, column]
                weight[..., column:end] -= lost[..., None] * upper[:, None, column, column:end]
                errors[..., column - start] = lost
            weight[..., end:] -= errors @ upper[:, here, end:]
        # What was pruned is 0 but for rounding.
        return weight.masked_fill(~keep, 0.0), keep

    def _of_m(self, weight: Tensor, alive: Tensor, pivots: Tensor, column: int) -> Tensor:
        from prunebench.kernels.patterns import keep_n_of_m

        assert self._pattern is not None
        n, m = self._pattern
        group = slice(column, column + m)
        worth = (weight[..., group] / pivots[..., group]).square()
        return keep_n_of_m(worth.reshape(-1, m), alive[..., group].reshape(-1, m), n, m).reshape(worth.shape)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `sparsegpt`."""
    yield Component("sparsegpt", SparseGPTConfig, SparseGPT, version=1, paper="Frantar & Alistarh 2023")
