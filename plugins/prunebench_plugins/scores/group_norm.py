"""Group norms: a channel is worth the norm of all that goes with it.

Weights that produce the channel and weights that read it, scale and shift of its norm layers: all that is removed with
it counts, where a filter norm looks at one layer. The score is the sum of squares (or magnitudes) over the group.

Source: Fang et al. 2023 (DepGraph: towards any structural pruning), section 3.3 (group-level importance).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.planning import Request


class GroupNormConfig(ComponentConfig):
    """`p`: |w|^p is summed. `roles`: what of a group counts.

    `normalise` makes layers comparable in a global cut: "mean", the authors' choice, divides by the mean score of the
    layer's channels that are alive, "l2" by their norm.
    """

    p: int = Field(default=2, ge=1, le=2)
    roles: tuple[Literal["out", "in", "norm", "bias"], ...] = ("out", "in", "norm", "bias")
    normalise: Literal["none", "mean", "l2"] = "mean"


class GroupNorm:
    """Scores the norm of everything that a channel owns."""

    def __init__(self, config: GroupNormConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are pruned."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        refuse_single_weights(request, "group-norm")

    @hookimpl
    def prunebench_score(self, model: nn.Module, units: Units, mask: Mask | None) -> Scores:
        """For every channel, the sum over its parameters of |w|^p."""
        import torch

        from prunebench import ContractError
        from prunebench.api.masks import Scores
        from prunebench_plugins.scores._channels import normalised

        found = []
        for index, (layer, members) in enumerate(zip(units.layers, units.members(), strict=True)):
            owned = [member for member in members if member.role in self._config.roles]
            if not owned:
                raise ContractError(f'score group-norm: layer "{layer.name}" has no channels to score')
            alive = torch.ones(layer.count, dtype=torch.bool) if mask is None else mask.keep[index]
            sums = []
            for member in owned:
                values = model.get_parameter(member.parameter).detach()
                sums.append(member.slices(values.abs().pow(self._config.p)).sum(1))
            total = torch.stack(sums).sum(0)
            found.append(normalised(total, alive.to(total.device), self._config.normalise))
        return Scores(tuple(found))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `group-norm`."""
    yield Component("group-norm", GroupNormConfig, GroupNorm, version=1, paper="Fang et al. 2023")
