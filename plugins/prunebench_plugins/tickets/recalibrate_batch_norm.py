"""Batch norm's running statistics, taken anew from training images under the ticket's mask.

Pruning changes what every later layer reads, and a network in evaluation mode still divides by the statistics of the
dense one. Weights stay as they are; mean and variance become the averages over calibration batches.

Source: Li et al. 2020 (EagleEye), section 3.3 (adaptive batch normalisation); Jordan et al. 2023 (REPAIR).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.random import Rng
    from prunebench.api.task import Task
    from prunebench.api.tickets import Ticket


class RecalibrateConfig(ComponentConfig):
    """`batch`, `batches`: the training images, un-augmented; every batch has the same weight."""

    batch: int = Field(default=32, ge=2)
    batches: int = Field(default=16, ge=1)


class Recalibrate:
    """Replaces the running means and variances."""

    def __init__(self, config: RecalibrateConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_ticket(
        self, ticket: Ticket, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng
    ) -> Ticket:
        """The ticket with other running statistics.

        Raises:
            ContractError: the network has no batch norm with running statistics.
        """
        import torch
        from torch.nn.modules.batchnorm import _BatchNorm

        from prunebench.kernels.calibration import drawn

        if ticket.mask is not None:
            with torch.no_grad():
                for name, keep in units.expand(ticket.mask).items():
                    parameter = model.get_parameter(name)
                    parameter.masked_fill_(~keep.to(parameter.device), 0.0)
        norms = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats
        }
        if not norms:
            raise ContractError(
                "recalibrate-batch-norm: the network has no batch norm with running statistics, so there is nothing "
                "to take anew; leave the edit out for this network"
            )
        model.eval()
        for module in norms.values():
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches
            module.train()
        with torch.no_grad():
            for taken, _ in drawn(data, task, rng, self._config.batch, self._config.batches):
                model(taken)
        model.eval()
        state = model.state_dict()
        fresh = {
            f"{name}.{of}": ticket.weights[f"{name}.{of}"] for name in norms for of in ("running_mean", "running_var")
        }
        new = {name: state[name].detach().cpu().to(value.dtype).clone() for name, value in fresh.items()}
        return replace(ticket, weights={**ticket.weights, **new})


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `recalibrate-batch-norm`."""
    yield Component("recalibrate-batch-norm", RecalibrateConfig, Recalibrate, version=1, paper="Li et al. 2020")
