"""Optimal brain damage: by how much the loss changes, to second order, with the diagonal of the Hessian.

The saliency is h_kk * w_k^2 / 2. The diagonal is estimated as E[v * (H v)] over random signs v (Hutchinson), of the
true Hessian of the mean loss on training images, where the paper takes a Gauss-Newton approximation of it; the
empirical Fisher's diagonal is the score `fisher`. Batch norm uses its running statistics; examples are un-augmented.

Source: LeCun et al. 1990 (Optimal brain damage), equation 5; Bekas et al. 2007 (An estimator for the diagonal of a
matrix).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class ObdConfig(ComponentConfig):
    """`batch`, `batches`: the training examples that are looked at. `probes`: draws of v for each batch.

    `curvature`: a negative entry of the diagonal, of which there is none at an optimum, counts as it is ("signed") or
    by its size ("absolute").
    """

    batch: int = Field(default=128, ge=1)
    batches: int = Field(default=4, ge=1)
    probes: int = Field(default=4, ge=1)
    curvature: Literal["signed", "absolute"] = "absolute"


class Obd:
    """Scores h * w^2 / 2."""

    def __init__(self, config: ObdConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """The saliency of every unit; a dead one's is 0, because its weight is."""
        import torch

        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe, zeros

        config, twin = self._config, probe(model, "running")
        total = zeros(twin)
        signs = rng.child("probes").torch()
        for taken, targets in drawn(data, task, rng, config.batch, config.batches):
            slopes = gradients(twin, loss_of(twin, task, taken, targets), differentiable=True)
            for _ in range(config.probes):
                drawn_signs = {
                    name: torch.randint(0, 2, slope.shape, generator=signs, device="cpu").to(slope) * 2 - 1
                    for name, slope in slopes.items()
                }
                along = torch.stack([(slopes[name] * v).sum() for name, v in drawn_signs.items()]).sum()
                names, parameters = zip(*twin.named_parameters(), strict=True)
                products = torch.autograd.grad(
                    along, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                for name, product in zip(names, products, strict=True):
                    total[name].addcmul_(product, drawn_signs[name], value=1 / (config.batches * config.probes))
        if config.curvature == "absolute":
            total = {name: diagonal.abs() for name, diagonal in total.items()}
        return units.reduce(lambda name, weight: total[name] * weight.square() / 2)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `obd`."""
    yield Component("obd", ObdConfig, Obd, version=1, paper="LeCun et al. 1990")
