"""SynFlow: how much of a flow of ones each weight carries; it needs no data.

Every weight, bias and batch-norm tensor is replaced by its absolute value, an image of ones is passed through the
network, R is the sum of its outputs, and a weight scores dR/d|w| * |w|. Without biases each layer's scores sum to R, so
that no layer is emptied before the others when pruned in many steps (`at-init` with `steps = 100`).

Batch norm is in evaluation mode, as in the paper's code: it uses the running statistics, which before training are 0
and 1. A scale that is initialised to 0, as some networks have at the end of a residual branch, lets nothing through, so
all weights of that branch score 0. All is computed in float64, in which the flow through a deep network does not
overflow.

Source: Tanaka et al. 2020 (Pruning neural networks without any data by iteratively conserving synaptic flow),
algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.task import Task


class Synflow:
    """Scores dR/d|w| * |w|."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units) -> Scores:
        """dR/d|w| * |w| for every unit; of the data only the shape of an input is used."""
        import torch

        from prunebench_plugins.scores._gradients import gradients, probe

        twin = probe(model, "running").double()
        with torch.no_grad():
            for value in twin.state_dict().values():
                if value.is_floating_point():
                    value.abs_()
        first = next(twin.parameters())
        example = task.example(data.info)
        if not example.is_floating_point():
            raise ContractError(f"synflow: a flow of ones needs inputs that are numbers, and {data.info.name} has none")
        ones = torch.ones(example.shape, dtype=first.dtype, device=first.device)
        slopes = gradients(twin, twin(ones).sum())
        return units.reduce(lambda name, weight: slopes[name] * weight.double().abs())


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `synflow`."""
    yield Component("synflow", ComponentConfig, Synflow, version=1, paper="Tanaka et al. 2020")
