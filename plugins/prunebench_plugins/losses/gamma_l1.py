"""Sparse scales: an L1 penalty on the scales of norm layers, so that a network decides in training which channels go.

A dead channel's scale is 0 and stays 0: the penalty's gradient is 0 there, and so is what a threshold leaves of it.

Source: Liu et al. 2017 (Learning efficient convolutional networks through network slimming), equation 1; Parikh & Boyd
2014, section 6.5.2 (soft thresholding).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import CannotTakePart, Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.training import LossTerm


class GammaL1Config(ComponentConfig):
    """`strength`: of the penalty, strength * sum |gamma|; the paper takes 1e-4 for VGG, 1e-5 for the other networks.

    `method`: "subgradient", the paper's, adds strength * sign(gamma) to the gradient, so momentum sees it and scales
    come near 0. "proximal" moves each scale towards 0 by strength * learning rate after the optimizer's step, so scales
    become exactly 0.

    `over`: the scales of "batch-norm" layers, or of "all" norm layers.
    """

    strength: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    method: Literal["subgradient", "proximal"] = "subgradient"
    over: Literal["batch-norm", "all"] = "batch-norm"


class GammaL1:
    """strength * sum |gamma| over the scales of norm layers."""

    def __init__(self, config: GammaL1Config) -> None:
        self._config = config

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> list[LossTerm]:
        """One term, with a closed-form gradient or a proximal step.

        Raises:
            CannotTakePart: the network has no such scale.
        """
        import torch

        from prunebench.api.training import LossTerm

        strength = self._config.strength
        scales = scales_of(model, self._config.over)
        if not scales:
            kind = "batch-norm" if self._config.over == "batch-norm" else "norm"
            raise CannotTakePart(f"loss gamma-l1: the network has no {kind} layer with a learned scale to penalise")

        @torch.no_grad()
        def subgradient() -> None:
            # A layer that no image passes has no gradient.
            moved = [(scale, scale.grad) for scale in scales if scale.grad is not None]
            signs = torch._foreach_sign([scale for scale, _ in moved])
            torch._foreach_add_([gradient for _, gradient in moved], signs, alpha=strength)

        @torch.no_grad()
        def proximal(rate: float) -> None:
            threshold = strength * rate
            # What is taken from a scale is the scale itself within the threshold, so that exactly 0 is left of it.
            taken = torch._foreach_clamp_max(torch._foreach_clamp_min(scales, -threshold), threshold)
            torch._foreach_add_(scales, taken, alpha=-1)

        return [LossTerm(gradient=subgradient) if self._config.method == "subgradient" else LossTerm(proximal=proximal)]


def scales_of(model: nn.Module, over: Literal["batch-norm", "all"]) -> list[Tensor]:
    """The learned scales of norm layers, each once."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

    kinds = (_BatchNorm,) if over == "batch-norm" else (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    found: list[Tensor] = [
        module.weight for module in model.modules() if isinstance(module, kinds) and module.weight is not None
    ]
    return list({id(scale): scale for scale in found}.values())


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `gamma-l1`."""
    yield Component("gamma-l1", GammaL1Config, GammaL1, version=1, paper="Liu et al. 2017")
