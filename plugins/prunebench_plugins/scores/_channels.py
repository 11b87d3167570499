"""What scores of whole channels share: the parameters that channels own, and layers made comparable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from prunebench import CannotTakePart, ContractError, PlanError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Member, Scores, Units
    from prunebench.api.planning import Request

Normalise = Literal["none", "mean", "l2"]
"""What a layer's scores are divided by: nothing, the mean of those alive, or their L2 norm."""


def refuse_single_weights(request: Request, score: str) -> None:
    """A score of channels has no meaning for single weights.

    Raises:
        PlanError: the entry prunes single weights.
    """
    if request.chain.units.name == "weights":
        raise PlanError(f'score {score}: it scores channels and not single weights; write units = "channels"')


def scored(
    score: str,
    role: Literal["out", "norm"],
    model: nn.Module,
    units: Units,
    mask: Mask | None,
    normalise: Normalise,
    values: Callable[[Tensor, Member, Tensor], Sequence[Tensor]],
) -> Scores:
    """One score for each channel, from the members of a layer that have a role.

    Args:
        score: the component's name, for errors.
        values: of (a parameter's values, what the channels own of it, bool (count,): those alive), some scores of
            shape (count,), which the units combine.
    Raises:
        ContractError: the units are single weights.
        CannotTakePart: a layer's channels own nothing of the role; before any value is looked at.
    """
    import torch

    from prunebench.api.masks import Scores

    what = {"out": "weights that produce it", "norm": "scale of a norm layer"}[role]
    owned = []
    for layer, members in zip(units.layers, units.members(), strict=True):
        if not members:
            raise ContractError(
                f'score {score}: layer "{layer.name}" has no channels to score; write units = "channels"'
            )
        owned.append([member for member in members if member.role == role])
        if not owned[-1]:
            raise CannotTakePart(
                f'score {score}: layer "{layer.name}": its channels have no {what}; use another score, or leave the '
                "layer dense with `exclude`"
            )
    found = []
    for index, (layer, members) in enumerate(zip(units.layers, owned, strict=True)):
        alive = torch.ones(layer.count, dtype=torch.bool) if mask is None else mask.keep[index]
        each: list[Tensor] = []
        for member in members:
            parameter = model.get_parameter(member.parameter).detach()
            each += values(parameter, member, alive.to(parameter.device))
        found.append(normalised(units.combine(each), alive.to(each[0].device), normalise))
    return Scores(tuple(found))


def normalised(values: Tensor, alive: Tensor, how: Normalise) -> Tensor:
    """A layer's scores over their mean or norm, both of the channels alive; all of a layer that scores 0 stays 0."""
    if how == "none":
        return values
    living = values[alive]
    # The mean of a layer that has died is no number.
    scale = living.sum() / max(1, living.numel()) if how == "mean" else living.norm()
    return values / scale.clamp_min(1e-30)
