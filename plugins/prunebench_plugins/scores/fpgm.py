"""Distance from the geometric median: a filter that lies between the others can be replaced by them.

A filter's score is the sum of its Euclidean distances to all filters of its layer; the one of the lowest sum is the
nearest to their geometric median. Where several layers produce a channel, the units combine the scores.

Source: He et al. 2019 (Filter pruning via geometric median for deep convolutional neural networks acceleration),
equations 4 to 9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Member, Scores, Units
    from prunebench.api.planning import Request


class FpgmConfig(ComponentConfig):
    """`normalise` makes layers comparable in a global cut: "none", the paper's, which cuts each layer on its own.

    "mean" and "l2" divide by the mean or the L2 norm of the scores of the layer's channels that are alive.
    """

    normalise: Literal["none", "mean", "l2"] = "none"


class Fpgm:
    """Scores the sum of distances to the other filters."""

    def __init__(self, config: FpgmConfig) -> None:
        self._normalise = config.normalise

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are pruned."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        refuse_single_weights(request, "fpgm")

    @hookimpl
    def prunebench_score(self, model: nn.Module, units: Units, mask: Mask | None) -> Scores:
        """The sum of distances of every channel's filter, combined by the units over the layers that produce it."""
        from prunebench_plugins.scores._channels import scored

        return scored("fpgm", "out", model, units, mask, self._normalise, distances)


def distances(weight: Tensor, member: Member, alive: Tensor) -> list[Tensor]:
    """For each filter, the sum of its Euclidean distances to the filters that are alive."""
    import torch

    filters = member.slices(weight)
    # Through a matrix product, filters that are alike would lose most of their digits.
    apart = torch.cdist(filters, filters[alive], compute_mode="donot_use_mm_for_euclid_dist")
    return [apart.sum(1)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `fpgm`."""
    yield Component("fpgm", FpgmConfig, Fpgm, version=1, paper="He et al. 2019")
