"""Batch norm's statistics taken anew before a ticket is judged: those of the dense network are not the pruned one's.

Source: Li et al. 2020 (EagleEye), section 3 (adaptive batch normalisation); an example of an edit that reads data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.task import Task
    from prunebench.api.tickets import Ticket


class FreshStatisticsConfig(ComponentConfig):
    """`batch`: examples of a batch; `batches`: how many are read at most, from the first training example on."""

    batch: int = Field(default=64, ge=2)
    batches: int = Field(default=16, ge=1)


class FreshStatistics:
    """Sets running mean and variance to their means over batches; weights and mask stay."""

    def __init__(self, config: FreshStatisticsConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, model: nn.Module, data: Data, task: Task, units: Units) -> Ticket:
        """The ticket with the statistics of the network that its mask leaves."""
        import torch
        from torch.nn.modules.batchnorm import _BatchNorm

        from prunebench.api.data import in_order

        norms = {name: one for name, one in model.named_modules() if isinstance(one, _BatchNorm)}
        train = data["train"]
        size = min(self._config.batch, train.size)
        with torch.no_grad():
            if ticket.mask is not None:
                for name, keep in units.expand(ticket.mask).items():
                    model.get_parameter(name).masked_fill_(~keep, 0.0)
            for norm in norms.values():
                norm.reset_running_stats()
                norm.momentum = None  # the mean of all batches, each with the same weight
                norm.train()  # the norms alone: dropout stays off, and nothing is drawn
            for number, batch in enumerate(train.batches(in_order(train.size, size))):
                if number == self._config.batches:
                    break
                if len(batch[0]) == size:
                    model(task.batch(*batch)[0])
        fresh = {
            f"{name}.{buffer}": value.cpu().clone()
            for name, norm in norms.items()
            for buffer, value in norm.named_buffers()
        }
        return replace(ticket, weights={**ticket.weights, **fresh})


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `fresh-statistics`."""
    yield Component("fresh-statistics", FreshStatisticsConfig, FreshStatistics, version=1, paper="Li et al. 2020")
