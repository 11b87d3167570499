"""Adam, as torch defines it (decay is added to the gradient).

Source: Kingma & Ba 2015, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import nn

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamConfig(ComponentConfig):
    """torch.optim.Adam's options; weight decay applies to all parameters.

    Args:
        lr: the base learning rate, which the schedule of the rate multiplies.
        betas: of the running means of the gradient and of its square.
        eps: is added to the root of the mean square.
        weight_decay: times the weights, is added to the gradient.
    """

    lr: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Adam:
    """Builds torch.optim.Adam."""

    def __init__(self, config: AdamConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Adam over all parameters, fused where the device has the kernel."""
        import torch

        from prunebench_plugins.optimizers._kernel import capturable, kernel

        options = {**self._config.model_dump(), **kernel(model), "capturable": capturable(model)}
        return torch.optim.Adam(model.parameters(), **options)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `adam`."""
    yield Component("adam", AdamConfig, Adam, version=1, paper="Kingma & Ba 2015")
