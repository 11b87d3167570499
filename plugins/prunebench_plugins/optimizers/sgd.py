"""Stochastic gradient descent with momentum, as torch defines it (decay is added to the gradient).

Source: Sutskever et al. 2013 (momentum and Nesterov's).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import nn


class SGDConfig(ComponentConfig):
    """torch.optim.SGD's options; weight decay applies to all parameters.

    Args:
        lr: the base learning rate, which the schedule of the rate multiplies.
        momentum: of the running sum of gradients.
        nesterov: whether the step looks ahead (Nesterov's momentum); needs a momentum and no dampening.
        weight_decay: times the weights, is added to the gradient.
        dampening: what a new gradient lacks of 1 in the running sum.
    """

    lr: float = Field(examples=[0.1], gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.0, ge=0, lt=1, examples=[0.9])
    nesterov: bool = Field(default=False, examples=[False])
    weight_decay: float = Field(default=0.0, examples=[5e-4], ge=0, allow_inf_nan=False)
    dampening: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")
        return self


class SGD:
    """Builds torch.optim.SGD."""

    def __init__(self, config: SGDConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """SGD over all parameters, fused where the device has the kernel."""
        import torch

        from prunebench_plugins.optimizers._kernel import kernel

        return torch.optim.SGD(model.parameters(), **self._config.model_dump(), **kernel(model))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `sgd`."""
    yield Component("sgd", SGDConfig, SGD, version=1, paper="Sutskever et al. 2013")
