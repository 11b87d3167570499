"""Scales of norm layers: a channel is worth what the norm layer behind it multiplies it by.

Where several norm layers read a channel, because of a residual connection or a concatenation, the units combine their
scales. In a network without such connections this is network slimming's own score.

Source: Liu et al. 2017 (Learning efficient convolutional networks through network slimming), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Member, Scores, Units
    from prunebench.api.planning import Request


class BnGammaConfig(ComponentConfig):
    """`normalise` makes layers comparable in a global cut: "none", the paper's, compares the scales of all layers.

    "mean" and "l2" divide by the mean or the L2 norm of the scores of the layer's channels that are alive.
    """

    normalise: Literal["none", "mean", "l2"] = "none"


class BnGamma:
    """Scores |gamma|."""

    def __init__(self, config: BnGammaConfig) -> None:
        self._normalise = config.normalise

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are pruned."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        refuse_single_weights(request, "bn-gamma")

    @hookimpl
    def prunebench_score(self, model: nn.Module, units: Units, mask: Mask | None) -> Scores:
        """|gamma| of every channel, combined by the units; an error names the layer that has no norm layer."""
        from prunebench_plugins.scores._channels import scored

        return scored("bn-gamma", "norm", model, units, mask, self._normalise, scales)


def scales(gamma: Tensor, member: Member, alive: Tensor) -> tuple[Tensor, ...]:
    """|gamma|: a score for each scale that a channel owns."""
    return member.slices(gamma.abs()).unbind(1)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `bn-gamma`."""
    yield Component("bn-gamma", BnGammaConfig, BnGamma, version=1, paper="Liu et al. 2017")
