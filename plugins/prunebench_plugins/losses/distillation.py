"""Distillation: a pruned network learns from the dense one's outputs too, on the same batch.

The term is strength * T^2 * KL(softmax(dense / T) || softmax(pruned / T)), the mean over the batch. The dense network
is the end of the trial's dense run, or its first weights where no dense run leads to the tickets (pretrained weights).
It is in evaluation mode. The dense run itself has no teacher, and takes no part.

Source: Hinton et al. 2015 (Distilling the knowledge in a neural network), section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.planning import Needs, Request
    from prunebench.api.tickets import Inputs
    from prunebench.api.training import LossTerm


class DistillationConfig(ComponentConfig):
    """`strength`: what the term is multiplied with, beside an objective of 1. `temperature`: T."""

    strength: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=4.0, gt=0, allow_inf_nan=False)


class Distillation:
    """Adds the divergence from the dense network's outputs."""

    def __init__(self, config: DistillationConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The dense network's weights, where a ticket of a later round is trained."""
        from prunebench.api.planning import Needs, TrainedPoint

        if request.ticket is None or request.ticket.round == 0:
            return Needs(active=False)
        first = TrainedPoint(request.chain.dense.weights, None, 0)
        return Needs({"teacher": (request.optima[0] if request.optima else first,)})

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module, inputs: Inputs) -> list[LossTerm]:
        """The term; its gradient is of the pruned network alone.

        Raises:
            ContractError: the network that is trained has other shapes than the dense one.
        """
        import copy

        import torch
        from torch.nn import functional

        from prunebench.api.training import LossTerm

        (dense,) = inputs["teacher"]
        device = next(model.parameters()).device
        teacher = copy.deepcopy(model)
        if any(teacher.get_parameter(n).shape != dense.weights[n].shape for n, _ in model.named_parameters()):
            raise ContractError(
                "loss distillation: the network is trained without its pruned units (`shrunk = true`), and the dense "
                "one does not fit into it; write shrunk = false"
            )
        teacher.load_state_dict(dict(dense.weights))
        teacher.to(device).eval().requires_grad_(False)
        strength, temperature = self._config.strength, self._config.temperature

        def divergence(taken: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
            with torch.no_grad():
                wanted = functional.log_softmax(teacher(taken) / temperature, dim=1)
            given = functional.log_softmax(outputs / temperature, dim=1)
            lost = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
            return strength * temperature**2 * lost

        return [LossTerm(loss=divergence)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `distillation`."""
    yield Component("distillation", DistillationConfig, Distillation, version=1, paper="Hinton et al. 2015")
