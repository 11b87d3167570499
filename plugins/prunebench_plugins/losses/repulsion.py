"""Repulsion: keeps a network away from the optima of earlier rounds, or draws it to them.

    J = strength / K * sum over the K earlier optima of cos^2(w, optimum),  both restricted to the present mask

If tickets win because they retrain to the optimum that they were pruned from, they stop winning where that is closed to
them. The gradient is written out. With U the optima as rows of length 1, W = ||w|| and t = U w / W^2 it is

    2 strength / K * (U^T t - ||t||^2 w)

Masks are nested, so all that is ever needed of an optimum is what the present mask keeps of it. That is held in the
form that takes less memory, which is the faster one too: at high densities whole optima that are 0 off the mask, K * d
numbers, with which weights and gradients are used where they lie; else K * density * d numbers, as much again as 2
optima for the places of what is kept, and 1 for a copy of the weights.

Source: Maene et al. 2021, section 3 and figures 3 and 17.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, ContractError, PlanError, hookimpl
from prunebench.api.tickets import Inputs, Optimum
from prunebench.api.training import LossTerm

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Chain, Needs, Request


class RepulsionConfig(ComponentConfig):
    """How strongly, and from what.

    Args:
        strength: lambda of the paper, which repels with 2 and attracts with -1.
        against: "all" earlier optima, or the "last" one alone: then a network may go back to the one before.
    """

    strength: float = Field(default=2.0, allow_inf_nan=False)
    against: Literal["all", "last"] = "all"

    @field_validator("strength")
    @classmethod
    def _does_something(cls, strength: float) -> float:
        if strength == 0:
            raise ValueError("a strength of 0 does nothing; leave the term out")
        return strength


NAME = "repulsion"
BESIDES = 3
"""What is held besides the optima in their short form, in optima: the places, of 8 bytes each, and the weights."""


class Repulsion:
    """Squared cosines to the ends of the find runs of earlier rounds."""

    def __init__(self, config: RepulsionConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The earlier optima; no part in a run that has none: a dense network, or the first of a chain.

        Raises:
            PlanError: no find run of the entry can have one, or the mask is changed while the optima are compared.
        """
        from prunebench.api.planning import Needs

        chain = request.chain
        if chain.prunes:
            if chain.recipes.find.mask_updates or chain.recipes.evaluate.mask_updates:
                raise PlanError("repulsion: it compares what one mask keeps, and mask_updates change it in the run")
            refuse_what_never_repels(chain)
            if request.round > 0 and not request.optima:
                raise PlanError(
                    "repulsion: the entry's schedule trains nothing before it prunes, so there is no earlier optimum; "
                    "write loss = [] for this entry"
                )
        optima = request.optima if self._config.against == "all" else request.optima[-1:]
        return Needs({"optima": optima}, active=bool(optima))

    @hookimpl
    def prunebench_loss_terms(
        self, model: nn.Module, units: Units, mask: Mask | None, inputs: Inputs
    ) -> list[LossTerm]:
        """One closed-form gradient.

        Raises:
            ContractError: the masks are not nested.
        """
        import torch

        from prunebench.api.masks import Mask

        optima = inputs.get("optima", ())
        if not optima:
            return []
        keep = units.expand(Mask.full(units.layers) if mask is None else mask)
        weights = {name: weight for name, weight in model.named_parameters() if name in keep}
        places = {name: keep[name].reshape(-1).nonzero().squeeze(1) for name in weights}
        device, dtype = next((w.device, w.dtype) for w in weights.values())
        sizes = [len(place) for place in places.values()]
        parameters, strength = list(weights.values()), self._config.strength
        count, size = len(optima), sum(weight.numel() for weight in parameters)
        if count * size <= (count + BESIDES) * sum(sizes):
            tables = [torch.zeros(count, weight.numel(), dtype=dtype) for weight in parameters]
            for row in range(count):
                parts = torch.split(direction(optima[row], places, mask), sizes)
                for table, place, part in zip(tables, places.values(), parts, strict=True):
                    table[row, place] = part
            return [LossTerm(gradient=whole_gradient(parameters, [table.to(device) for table in tables], strength))]
        rows = torch.empty(count, sum(sizes), dtype=dtype)
        for row in range(count):
            rows[row] = direction(optima[row], places, mask)
        kept = [place.to(device) for place in places.values()]
        return [LossTerm(gradient=kept_gradient(parameters, kept, rows.to(device), strength))]


def refuse_what_never_repels(chain: Chain) -> None:
    """Find runs have an earlier optimum from round 2 on, the runs that judge a ticket from round 1 on.

    Raises:
        PlanError: the term would do nothing in the runs that it is stated for.
    """
    if chain.rounds < 1:
        raise PlanError("repulsion: no round prunes, so there is never an earlier optimum; write rounds = 2")
    if chain.rounds < 2 and any(use.name == NAME for use in chain.recipes.find.loss):
        raise PlanError(
            "repulsion: one round prunes, so no find run has an earlier optimum; write rounds = 2 or more, or keep the "
            "term to the run that judges the ticket: evaluate.loss"
        )


def direction(optimum: Optimum, places: dict[str, Tensor], mask: Mask | None) -> Tensor:
    """What the mask keeps of an optimum, as one row of length 1; 0 where nothing of it is left.

    Args:
        places: for each parameter, which of its flat elements the mask keeps.
    Raises:
        ContractError: the optimum was trained under a mask that lacks some of what is kept now.
    """
    import torch

    if optimum.mask is not None and (mask is None or not mask.issubset(optimum.mask)):
        raise ContractError(
            f"repulsion: the optimum of round {optimum.round} was trained without some of the units that this run has. "
            "It compares what survives from round to round; a ticket edit or a mask update that moves the mask has no "
            "such past"
        )
    row = torch.cat([optimum.weights[name].reshape(-1)[place] for name, place in places.items()])
    length = torch.linalg.vector_norm(row, dtype=torch.float64)
    return torch.zeros_like(row) if length == 0 else (row / length).to(row.dtype)


def whole_gradient(weights: Sequence[nn.Parameter], tables: Sequence[Tensor], strength: float) -> Callable[[], None]:
    """The function that adds the term's gradient to that of the weights, from optima that are 0 off the mask.

    The weights must be 0 there too: then no sum needs the mask.

    Args:
        tables: for each weight, its part of the optima, which have length 1 in all: (K, elements). Scaled in place.
    """
    import torch

    count = len(tables[0])
    for table in tables:
        table.mul_(_length(strength, count))
    sign = 1 if strength > 0 else -1
    # A line for each weight, and one with what keeps weights that are all 0 from being divided by.
    lines = tables[0].new_zeros(len(weights) + 1, count + 1)
    lines[-1, count] = torch.finfo(lines.dtype).tiny
    products = lines.new_empty(count + 1)
    cosines, factor, finish = products[:count], products[count:], _finisher(products, sign)
    read = [
        (*_line(weight), table, line[:count], line[count])
        for weight, table, line in zip(weights, tables, lines[:-1], strict=True)
    ]
    columns = [table.t() for table in tables]

    @torch.no_grad()
    def add() -> None:
        flat = []
        for value, view, table, product, square in read:
            present = value.reshape(-1) if view is None else view
            torch.mv(table, present, out=product)
            torch.dot(present, present, out=square)
            flat.append(present)
        torch.sum(lines, 0, out=products)
        finish()
        for weight, present, column in zip(weights, flat, columns, strict=True):
            slope = _slope(weight)
            line = slope.reshape(-1)
            line.addmv_(column, cosines, alpha=sign).addcmul_(present, factor)
            if not slope.is_contiguous():
                slope.copy_(line.view(slope.shape))

    return add


def kept_gradient(
    weights: Sequence[nn.Parameter], places: Sequence[Tensor], rows: Tensor, strength: float
) -> Callable[[], None]:
    """The function that adds the term's gradient to that of the weights, from what the mask keeps of the optima.

    Args:
        places: which of the flat elements of each weight the mask keeps.
        rows: (K, kept), each of length 1. Scaled in place.
    """
    import torch

    count = len(rows)
    columns = rows.mul_(_length(strength, count)).t()
    sign = 1 if strength > 0 else -1
    # What is kept of the weights in every step, and then the gradient.
    kept = rows.new_empty(rows.shape[1])
    products = rows.new_empty(count + 1)
    cosines, factor, finish = products[:count], products[count:], _finisher(products, sign)
    # Keeps weights that are all 0 from being divided by.
    floor = rows.new_full((1,), torch.finfo(rows.dtype).tiny)
    line_of_kept = kept[None]
    parts = torch.split(kept, [len(place) for place in places])
    read = [(*_line(weight), place, part) for weight, place, part in zip(weights, places, parts, strict=True)]
    written = list(zip(weights, places, parts, strict=True))

    @torch.no_grad()
    def add() -> None:
        for value, view, place, part in read:
            torch.index_select(value.reshape(-1) if view is None else view, 0, place, out=part)
        torch.mv(rows, kept, out=cosines)
        torch.addmv(floor, line_of_kept, kept, out=factor)
        finish()
        kept.mul_(factor).addmv_(columns, cosines, alpha=sign)
        for weight, place, part in written:
            slope = _slope(weight)
            line = slope.reshape(-1)
            line.scatter_add_(0, place, part)
            if not slope.is_contiguous():
                slope.copy_(line.view(slope.shape))

    return add


def _length(strength: float, count: int) -> float:
    """Of the rows of U in U^T t - ||t||^2 w, so that this is the gradient of the term but for its sign."""
    return math.sqrt(2 * abs(strength) / count)


def _finisher(products: Tensor, sign: int) -> Callable[[], None]:
    """The function that turns (U w, W^2) into (t, -sign ||t||^2), in place."""
    import torch

    cosines, last = products[:-1], products[-1:]
    row = cosines[None]

    def finish() -> None:
        cosines.div_(last)
        torch.addmv(last, row, cosines, beta=0, alpha=-sign, out=last)

    return finish


def _line(weight: nn.Parameter) -> tuple[Tensor, Tensor | None]:
    """The values of a weight and, where they lie in one line, that line: views, which follow the weight."""
    value = weight.detach()
    return value, value.view(-1) if value.is_contiguous() else None


def _slope(weight: nn.Parameter) -> Tensor:
    """The gradient of a weight, of zeros where it has none."""
    import torch

    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `repulsion`."""
    yield Component(NAME, RepulsionConfig, Repulsion, version=2, paper="Maene et al. 2021")
