"""Normal weights that keep the variance of rectified activations from layer to layer.

Source: He et al. 2015, section 2.2 (forward pass).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.random import Rng


class KaimingNormal:
    """N(0, 2 / fan_in)."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        """The same module, its convolutions and linear layers drawn afresh; biases 0, norm layers 1 and 0."""
        from torch.nn.init import kaiming_normal_

        from prunebench_plugins.initialisers._layers import fill

        return fill(
            model, rng, lambda weight, generator: kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `kaiming_normal`."""
    yield Component("kaiming_normal", ComponentConfig, KaimingNormal, version=1, paper="He et al. 2015")
