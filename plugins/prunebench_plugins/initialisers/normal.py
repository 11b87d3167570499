"""Normal weights of one spread in every layer: the spread as a hyper-parameter.

Source: Frankle & Carbin 2019, appendix G.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.random import Rng


class NormalConfig(ComponentConfig):
    """`std`: the standard deviation of every weight."""

    std: float = Field(examples=[0.02], gt=0, allow_inf_nan=False)


class Normal:
    """N(0, std^2)."""

    def __init__(self, config: NormalConfig) -> None:
        self._std = config.std

    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        """The same module, its convolutions and linear layers drawn afresh; biases 0, norm layers 1 and 0."""
        from torch.nn.init import normal_

        from prunebench_plugins.initialisers._layers import fill

        return fill(model, rng, lambda weight, generator: normal_(weight, std=self._std, generator=generator))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `normal`."""
    yield Component("normal", NormalConfig, Normal, version=1, paper="Frankle & Carbin 2019")
