"""Filter norms, L2: a channel is worth the Euclidean norm of the weights that produce it.

Where several layers produce a channel, because of a residual connection, the units combine their filters' norms.

Source: He et al. 2018 (Soft filter pruning for accelerating deep convolutional neural networks), equation 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Member, Scores, Units
    from prunebench.api.planning import Request


class FilterL2Config(ComponentConfig):
    """`normalise` makes layers comparable in a global cut: "none", the paper's, which cuts each layer on its own.

    "mean" and "l2" divide by the mean or the L2 norm of the scores of the layer's channels that are alive.
    """

    normalise: Literal["none", "mean", "l2"] = "none"


class FilterL2:
    """Scores the Euclidean norm of a filter."""

    def __init__(self, config: FilterL2Config) -> None:
        self._normalise = config.normalise

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are pruned."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        refuse_single_weights(request, "filter-l2")

    @hookimpl
    def prunebench_score(self, model: nn.Module, units: Units, mask: Mask | None) -> Scores:
        """The norm of every channel's filter, combined by the units over the layers that produce it."""
        from prunebench_plugins.scores._channels import scored

        return scored("filter-l2", "out", model, units, mask, self._normalise, norms)


def norms(weight: Tensor, member: Member, alive: Tensor) -> list[Tensor]:
    """The Euclidean norm of each channel's filter."""
    return [member.slices(weight).norm(dim=1)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `filter-l2`."""
    yield Component("filter-l2", FilterL2Config, FilterL2, version=1, paper="He et al. 2018")
