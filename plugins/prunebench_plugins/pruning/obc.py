"""Optimal brain compression: in each row the weight goes whose loss the others can make up for best, one at a time.

The loss of a layer is the squared error of its outputs on calibration images, H = X X^T, and each output's row is a
problem of its own: removing weight p costs w_p^2 / [H^-1]_pp, the others move by -w_p [H^-1]_:p / [H^-1]_pp, and the
inverse loses its row and column p by one step of Gaussian elimination. The rows' traces of losses are then merged, and
the survivors of each row are the least-squares fit to what the dense row gave. Later layers read what the pruned
earlier ones give them. For a layer of r rows and c columns the work is r * c^3: for large layers use `sparsegpt`.

Source: Frantar & Alistarh 2022 (Optimal brain compression), algorithms 1 and 2; Hassibi & Stork 1993.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

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

WHO = "prune obc"
AT_ONCE = 1 << 22
"""Numbers in the inverses of the rows that are pruned at a time; one row's may have more."""


class ObcConfig(ComponentConfig):
    """How layers are pruned.

    Args:
        batch, batches: the training examples that are looked at, which are held in memory.
        damping: what is added to the Hessian's diagonal, as a share of its mean.
        layers: how many weights each layer keeps: the same share ("uniform"), in proportion to its dimensions ("erk"),
            or as many as a global cut by magnitude would leave in it ("magnitude").
    """

    batch: int = Field(default=32, ge=1)
    batches: int = Field(default=4, ge=1)
    damping: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    layers: Literal["uniform", "erk", "magnitude"] = "uniform"


class Obc:
    """Prunes and updates layer after layer, in the order of the forward pass."""

    def __init__(self, config: ObcConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where other things are pruned than weights of convolutions and linear layers."""
        from prunebench_plugins.scores._weights import refuse_other_layers

        refuse_other_layers(request, "obc")

    @hookimpl
    def prunebench_prune(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask, count: int, rng: Rng
    ) -> Pruned:
        """Exactly `count` weights, and the survivors' new values.

        Raises:
            ContractError: what a layer reads is not known, or its Hessian is singular.
        """
        import torch

        from prunebench.api.masks import Mask
        from prunebench.api.tickets import Pruned
        from prunebench.kernels.calibration import LayerInputs, drawn
        from prunebench_plugins.pruning._layers import REMEMBER, inverse, layer_counts, problem_of, said

        config, place = self._config, {layer.name: index for index, layer in enumerate(units.layers)}
        batches = (x for x, _ in drawn(data, task, rng, config.batch, config.batches))
        inputs = LayerInputs(WHO, model, batches, place, REMEMBER)
        counts = layer_counts(units, mask, count, config.layers)
        keep, few, weights = list(mask.keep), [], {}
        for name in inputs.order:
            index = place[name]
            if counts[index] == mask.counts[index]:
                continue
            parameter = model.get_parameter(name)
            layer = problem_of(inputs, name, parameter, mask.keep[index], config.damping)
            if layer.places < layer.size:
                few.append((name, layer.places, layer.size))
            inverses = inverse(layer.hessian, WHO, name, layer.places)
            kept = chosen(layer.weight, layer.alive, inverses, counts[index])
            with torch.no_grad():
                parameter.copy_(fitted(layer.weight, kept, layer.hessian).reshape(parameter.shape))
            keep[index], weights[name] = kept.reshape(-1).cpu(), parameter.detach()
        return Pruned(Mask(tuple(keep)), weights, said(few, config.damping))


def chosen(weight: Tensor, alive: Tensor, inverses: Tensor, count: int) -> Tensor:
    """Which weights of a layer stay, (groups, rows, columns): those that come last in the merged traces of its rows."""
    import torch

    groups, rows, columns = weight.shape
    together = max(1, AT_ONCE // columns**2)
    losses, order = [], []
    for group in range(groups):
        for start in range(0, rows, together):
            part = slice(start, start + together)
            cost, trace = traced(weight[group, part], alive[group, part], inverses[group])
            losses.append(cost)
            order.append(trace)
    # A later weight of a row cannot go before an earlier one: in the merged order it costs at least as much.
    costs = torch.cat(losses).cummax(1).values
    first = costs.reshape(-1).argsort(stable=True)[: weight.numel() - count]
    gone = torch.zeros(costs.numel(), dtype=torch.bool, device=weight.device)
    gone[first] = True
    kept = torch.ones_like(costs, dtype=torch.bool).scatter(1, torch.cat(order), ~gone.reshape(costs.shape))
    return kept.reshape(weight.shape)


def traced(weight: Tensor, alive: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """For each row, what each removal costs, and the columns in the order of removal; both (rows, columns).

    Dead weights go first, at a cost of -1.
    """
    import torch

    rows, columns = weight.shape
    weight, inverses = weight.clone(), inverse.expand(rows, columns, columns).clone()
    left, every = torch.ones_like(alive), torch.arange(rows, device=weight.device)
    costs, order = torch.empty_like(weight), torch.empty_like(weight, dtype=torch.long)
    # Made once: large blocks that come and go between small ones that stay leave holes that none of them fits in.
    step = torch.empty_like(inverses)
    for removed in range(columns):
        diagonal = inverses.diagonal(dim1=-2, dim2=-1)
        cost = (weight.square() / diagonal).masked_fill(~alive, -1.0).masked_fill(~left, torch.inf)
        at = cost.argmin(1)
        costs[:, removed], order[:, removed] = cost[every, at], at
        row, pivot = inverses[every, at], diagonal[every, at][:, None]
        weight -= row * (weight[every, at][:, None] / pivot)
        inverses -= torch.mul(row[:, :, None], (row / pivot)[:, None, :], out=step)
        # What is gone has no part in what follows: the 1 only keeps the division defined.
        inverses[every, at], inverses[every, :, at] = 0.0, 0.0
        inverses[every, at, at], weight[every, at], left[every, at] = 1.0, 0.0, False
    return costs, order


def fitted(weight: Tensor, keep: Tensor, matrix: Tensor) -> Tensor:
    """The least-squares fit of each row's survivors to what the row gave: H_kk x = H_k: w; 0 elsewhere."""
    import torch

    new = torch.zeros_like(weight)
    for group, row in torch.cartesian_prod(torch.arange(weight.shape[0]), torch.arange(weight.shape[1])).tolist():
        stays = keep[group, row].nonzero()[:, 0]
        if len(stays):
            rows = matrix[group][stays]
            new[group, row, stays] = torch.linalg.solve(rows[:, stays], rows @ weight[group, row])
    return new


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `obc`."""
    yield Component("obc", ObcConfig, Obc, version=1, paper="Frantar & Alistarh 2022")
