"""Gradients on training examples for scores, taken on a copy: the network, its buffers and `.grad` stay as found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunebench.kernels.calibration import drawn as drawn
from prunebench.kernels.networks import copied

if TYPE_CHECKING:
    from prunebench.api.task import Task

BatchNorm = Literal["batch", "running"]
"""What batch norm divides by: the statistics of the batch, as in training, or the running ones, as in evaluation."""


def probe(model: nn.Module, batch_norm: BatchNorm) -> nn.Module:
    """A copy to differentiate, in evaluation mode but for batch norm, every parameter with a gradient."""
    twin = copied(model).eval().requires_grad_(True)
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.train(batch_norm == "batch")
    return twin


def loss_of(model: nn.Module, task: Task, inputs: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """The task's objective on a batch, the outputs divided by the temperature; floats take the weights' type."""
    first = next(model.parameters())
    taken = inputs.to(first.dtype) if inputs.is_floating_point() else inputs
    return task.objective(model(taken) / temperature, targets)


def gradients(model: nn.Module, scalar: Tensor, *, differentiable: bool = False) -> dict[str, Tensor]:
    """The gradient of a scalar by parameter name; zeros for a parameter that it does not depend on."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found: Sequence[Tensor] = torch.autograd.grad(
        scalar, parameters, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, found, strict=True))


def zeros(model: nn.Module) -> dict[str, Tensor]:
    """A zero for each parameter, by name: what a sum over batches starts from."""
    return {name: torch.zeros_like(parameter.detach()) for name, parameter in model.named_parameters()}
