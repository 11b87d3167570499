"""Repulsion: keeps a network away from the optima of earlier rounds, or draws it to them.

    J = strength / K * sum over the K earlier optima of cos^2(w, optimum),  both restricted to the present mask

If tickets win because they retrain to the optimum that they were pruned from, they stop winning where that is closed to
them. The gradient is written out. With U the optima as rows of length 1, W = ||w|| and c = U w / W it is

    2 strength / (K W) * (U^T c - ||c||^2 / W * w)

Masks are nested, so all that is ever needed of an optimum is what the present mask keeps of it: that is all that is
held, K * density * d numbers of the K * d that the optima have.

Source: Maene et al. 2021, section 3 and figures 3 and 17.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, ContractError, PlanError, hookimpl
from prunebench.types import Inputs, LossTerm, Optimum

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.masks import Mask, Units
    from prunebench.plan import Needs, Request


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


class Repulsion:
    """Squared cosines to the ends of the find runs of earlier rounds."""

    def __init__(self, config: RepulsionConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The earlier optima; no part in a run that has none: a dense network, or the first of a chain.

        Raises:
            PlanError: no run of the entry can have one, or the mask is changed while the optima are compared.
        """
        from prunebench.plan import Needs

        entry = request.chain.entry
        if entry.schedule is not None:
            if entry.find.mask_updates or entry.evaluate.mask_updates:
                raise PlanError("repulsion: it compares what one mask keeps, and mask_updates change it in the run")
            if request.chain.rounds < 1:
                raise PlanError("repulsion: no round prunes, so there is never an earlier optimum; write rounds = 1")
            if request.round > 1 and not request.optima:
                raise PlanError(
                    f"repulsion: schedule {entry.schedule} trains nothing before it prunes, so there is no earlier "
                    "optimum; write loss = [] for this entry"
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

        from prunebench.masks import Mask

        optima = inputs.get("optima", ())
        if not optima:
            return []
        keep = units.expand(Mask.full(units.layers) if mask is None else mask)
        weights = {name: weight for name, weight in model.named_parameters() if name in keep}
        places = {name: keep[name].reshape(-1).nonzero().squeeze(1) for name in weights}
        device, dtype = next((w.device, w.dtype) for w in weights.values())
        # The last row is for the weights themselves: then one product has all cosines and the norm, and another one
        # the gradient.
        rows = torch.empty(len(optima) + 1, sum(len(place) for place in places.values()), dtype=dtype)
        for row in range(len(optima)):
            rows[row] = direction(optima[row], places, mask)
        return [
            LossTerm(
                gradient=gradient(
                    list(weights.values()),
                    [place.to(device) for place in places.values()],
                    rows.to(device),
                    self._config.strength,
                )
            )
        ]


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


def gradient(
    weights: Sequence[nn.Parameter], places: Sequence[Tensor], rows: Tensor, strength: float
) -> Callable[[], None]:
    """The function that adds the term's gradient to that of the weights.

    Args:
        places: which of the flat elements of each weight the mask keeps.
        rows: (K + 1, kept) with the optima in the first K, each of length 1; the last is written in every step.
    """
    import torch

    count = len(rows) - 1
    sizes = [len(place) for place in places]
    values = [weight.detach() for weight in weights]  # views: they follow the weights
    gathered = list(zip(values, places, torch.split(rows[count], sizes), strict=True))
    written = list(zip(weights, places, strict=True))
    columns, present = rows.t(), rows[count]
    # Of what is divided by: weights that are all 0 have products of 0, whatever the divisor.
    floor = torch.finfo(rows.dtype).tiny ** 0.5
    scale = torch.tensor(2 * strength / count, dtype=rows.dtype, device=rows.device)

    @torch.no_grad()
    def add() -> None:
        for value, place, here in gathered:
            torch.index_select(value.reshape(-1), 0, place, out=here)
        products = torch.mv(rows, present)
        cosines, square = products[:count], products[count].clamp(min=floor)
        # In place: the last product, which is the square, becomes the factor of the weights themselves.
        products[count] = torch.dot(cosines, cosines).div_(square).neg_()
        moved = torch.mv(columns, products.mul_(scale / square))
        for (weight, place), step in zip(written, torch.split(moved, sizes), strict=True):
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            if weight.grad.is_contiguous():
                weight.grad.view(-1).scatter_add_(0, place, step)
            else:
                whole = torch.zeros(weight.numel(), dtype=weight.dtype, device=weight.device)
                weight.grad.add_(whole.scatter_(0, place, step).view(weight.shape))

    return add


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `repulsion`."""
    yield Component("repulsion", RepulsionConfig, Repulsion, version=1, paper="Maene et al. 2021")
