"""Normal weights between keeping the variance forward and keeping it backward: LeNet's in the lottery-ticket paper.

Source: Glorot & Bengio 2010, equation 12; Frankle & Carbin 2019, figure 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.random import Rng


class XavierNormal:
    """N(0, 2 / (fan_in + fan_out))."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        """The same module, its convolutions and linear layers drawn afresh; biases 0, norm layers 1 and 0."""
        from torch.nn.init import xavier_normal_

        from prunebench_plugins.initialisers._layers import fill

        return fill(model, rng, lambda weight, generator: xavier_normal_(weight, generator=generator))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `xavier_normal`."""
    yield Component("xavier_normal", ComponentConfig, XavierNormal, version=1, paper="Glorot & Bengio 2010")
