"""GraSP: keep the weights whose removal would stop the gradient from flowing.

To first order, removing a weight changes the squared norm of the gradient by 2 * S with S = -w * (Hg): the paper prunes
where S is highest, which is where removal costs no gradient flow or adds some. Here higher survives, so the score is
-S = w * (Hg); it may have either sign. Images are drawn at random, not ten of each class as in the paper. Every
operation of the network needs a second derivative, which a few of torch's, such as hard sigmoid, lack.

Source: Wang et al. 2020 (Picking winning tickets before training by preserving gradient flow), equations 4 to 8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class GraspConfig(ComponentConfig):
    """`batch`, `batches`: g and H are of the mean loss over that many training examples.

    `temperature` divides the logits. `over`: whose gradient is to flow, that of the "weights" of convolutions and
    linear layers, as in the paper's code, or of "all" parameters. `batch_norm`: the statistics that batch norm uses,
    those of the "batch" or the "running" ones.
    """

    batch: int = Field(default=100, ge=1)
    batches: int = Field(default=1, ge=1)
    temperature: float = Field(default=200.0, gt=0, allow_inf_nan=False)
    over: Literal["weights", "all"] = "weights"
    batch_norm: Literal["batch", "running"] = "batch"


class Grasp:
    """Scores w * (Hg)."""

    def __init__(self, config: GraspConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask | None, rng: Rng
    ) -> Scores:
        """w * (Hg) for every unit; the gradient of dead weights is no flow, so it has no part in g."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        from prunebench.kernels.weight_units import layer_weights
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe, zeros

        config = self._config
        twin = probe(model, config.batch_norm)
        flow = zeros(twin)
        for inputs, targets in drawn(data, task, rng, config.batch, config.batches):
            for name, gradient in gradients(twin, loss_of(twin, task, inputs, targets, config.temperature)).items():
                flow[name] += gradient / config.batches
        if config.over == "weights":
            chosen = layer_weights(twin)
            flow = {name: gradient for name, gradient in flow.items() if name in chosen}
        for name, keep in units.expand(mask).items() if mask is not None else ():
            if name in flow:
                flow[name].masked_fill_(~keep.to(flow[name].device), 0.0)

        product = zeros(twin)
        for inputs, targets in drawn(data, task, rng, config.batch, config.batches):
            # The fast kernels of attention have no second derivative.
            with sdpa_kernel(SDPBackend.MATH):
                loss = loss_of(twin, task, inputs, targets, config.temperature)
                slopes = gradients(twin, loss, differentiable=True)
                along = torch.stack([(gradient * slopes[name]).sum() for name, gradient in flow.items()]).sum()
                found = gradients(twin, along)
            for name, value in found.items():
                product[name] += value / config.batches
        return units.reduce(lambda name, weight: weight * product[name])


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `grasp`."""
    yield Component("grasp", GraspConfig, Grasp, version=1, paper="Wang et al. 2020")
