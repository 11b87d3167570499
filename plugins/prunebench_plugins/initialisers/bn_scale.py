"""Norm layers that start at a scale of their own: 1/2 in network slimming, where scales are to become small.

Source: Liu et al. 2017 (Learning efficient convolutional networks through network slimming), section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from prunebench.api.random import Rng


class BnScaleConfig(ComponentConfig):
    """`value`: of every scale of a norm layer; the shifts are 0.

    `weights`: how convolutions and linear layers are drawn, each as the initialiser of that name does. `fan`: what
    Kaiming's divide by, the "in" puts or, as the code of Liu et al. does, the "out" puts; Xavier's takes both.
    """

    value: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    weights: Literal["kaiming_normal", "kaiming_uniform", "xavier_normal"] = "kaiming_normal"
    fan: Literal["in", "out"] = "in"


class BnScale:
    """Norm layers at one scale, and the weights of a known initialiser."""

    def __init__(self, config: BnScaleConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        """The same module, its convolutions and linear layers drawn afresh; biases 0, norm layers `value` and 0."""
        from torch.nn import init

        from prunebench_plugins.initialisers._layers import fill

        config = self._config
        mode: Literal["fan_in", "fan_out"] = "fan_in" if config.fan == "in" else "fan_out"

        def draw(weight: Tensor, generator: torch.Generator) -> None:
            if config.weights == "xavier_normal":
                init.xavier_normal_(weight, generator=generator)
                return
            kaiming = init.kaiming_normal_ if config.weights == "kaiming_normal" else init.kaiming_uniform_
            kaiming(weight, mode=mode, nonlinearity="relu", generator=generator)

        return fill(model, rng, draw, scale=config.value)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `bn-scale`."""
    yield Component("bn-scale", BnScaleConfig, BnScale, version=1, paper="Liu et al. 2017")
