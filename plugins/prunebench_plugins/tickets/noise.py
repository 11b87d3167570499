"""Noisy tickets: Gaussian noise is added to the weights that a ticket starts from.

Source: Frankle & Carbin 2019, appendix F.7, figure 25 (0.5, 1, 2 and 3 sigmas).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.tickets import Inputs, Ticket

if TYPE_CHECKING:
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request
    from prunebench.api.random import Rng


class NoiseConfig(ComponentConfig):
    """`sigmas`: the noise's standard deviation, in those of the layer's initial weights (all of them, not the kept)."""

    sigmas: float = Field(examples=[0.5], ge=0, allow_inf_nan=False)


class Noise:
    """Each surviving weight and a normal number."""

    def __init__(self, config: NoiseConfig) -> None:
        self._sigmas = config.sigmas

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The initial weights: a ticket that starts late, or was edited before, no longer tells their spread."""
        from prunebench.api.planning import Needs

        return Needs({"initial": (request.chain.dense,)})

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, units: Units, inputs: Inputs, rng: Rng) -> Ticket:
        """The same mask; noise on the living weights of each parameter that the units touch."""
        import torch

        from prunebench.api.masks import Mask

        (initial,) = inputs["initial"]
        weights = dict(ticket.weights)
        mask = Mask.full(units.layers) if ticket.mask is None else ticket.mask
        for name, keep in units.expand(mask).items():
            # fp64, and of the layer as a population: a single weight has a spread of 0 and not of NaN.
            spread = float(initial.weights[name].double().std(correction=0))
            drawn = torch.randn(keep.shape, generator=rng.child(name).torch(), dtype=torch.float64)
            noise = (self._sigmas * spread * drawn).to(weights[name].dtype)
            weights[name] = torch.where(keep, weights[name] + noise, weights[name])
        return replace(ticket, weights=weights)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `noise`."""
    yield Component("noise", NoiseConfig, Noise, version=1, paper="Frankle & Carbin 2019, appendix F.7")
