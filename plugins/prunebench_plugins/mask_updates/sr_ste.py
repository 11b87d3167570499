"""SR-STE: a network trains with N of every M weights, and the others go on learning unseen, so that they may come back.

In every step the N largest of M stay. The gradient of the pruned network goes straight through the mask to all weights,
and a pruned one is drawn to 0 besides: w <- w - rate * (gradient + decay * (1 - mask) * w), by any optimizer.
The run begins dense: its first step is of the dense network. Schedule `during-training`, densities = [N / M].

Source: Zhou et al. 2021 (Learning N:M fine-grained structured sparse neural networks from scratch), equation 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, PlanError, Position, hookimpl
from prunebench.api.positions import Clock
from prunebench.api.training import MaskUpdate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Needs, Request


class SrSteConfig(ComponentConfig):
    """Which pattern, and how pruned weights live on.

    Args:
        pattern: "N:M", such as "2:4".
        rest: what becomes of layers whose number of inputs M does not divide.
        decay: what draws pruned weights to 0 (lambda_W); 0 is the plain straight-through estimator.
        every: how often the mask is taken anew; in the paper in every step.
        until: no new mask from there on.
    """

    pattern: str = "2:4"
    rest: Literal["refuse", "dense"] = "refuse"
    decay: float = Field(default=2e-4, ge=0, allow_inf_nan=False)
    every: Position = Position.parse("1it")
    until: Position = Position.parse("100%")

    @field_validator("pattern")
    @classmethod
    def _a_pattern(cls, pattern: str) -> str:
        from prunebench.kernels.patterns import parse_n_of_m

        parse_n_of_m(pattern)
        return pattern


class SrSte:
    """Keeps the N largest of every M, and trains all."""

    def __init__(self, config: SrSteConfig) -> None:
        from prunebench.kernels.patterns import parse_n_of_m

        self._config = config
        self._n, self._m = parse_n_of_m(config.pattern)

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """No part in a run that prunes nothing.

        Raises:
            PlanError: no single weights are pruned, a layer does not fit, or another number of units is asked for than
                the pattern leaves.
        """
        from prunebench.api.planning import Needs
        from prunebench.kernels.patterns import n_of_m_count
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "sr-ste")
        ticket, layers = request.ticket, request.chain.model.layers
        if ticket is None or ticket.count == request.chain.model.units:
            return Needs(active=False)
        assert isinstance(ticket.count, int), "mask updates bring a run to a number of units"
        left = n_of_m_count("sr-ste", layers, self._n, self._m, self._config.rest, ticket.count)
        if left != ticket.count:
            raise PlanError(
                f"sr-ste: {self._config.pattern} leaves {left:,} units, and {ticket.count:,} were asked for; write "
                f"densities = [{left / request.chain.model.units!r}]"
            )
        return Needs()

    @hookimpl
    def prunebench_mask_updates(self, model: nn.Module, units: Units, horizon: int) -> list[MaskUpdate]:
        """The pattern by |w| of all weights, those that are pruned included."""
        import torch

        from prunebench.api.masks import Mask
        from prunebench.kernels.patterns import divided_by_m, inputs_first, inputs_first_back, keep_n_of_m
        from prunebench_plugins.mask_updates._exchange import magnitudes

        config, layers = self._config, units.layers
        clock = Clock(steps_per_epoch=1, horizon=horizon)
        every, until = max(1, config.every.iterations(clock)), config.until.iterations(clock)
        whole = divided_by_m("sr-ste", layers, self._m, config.rest)

        def observe(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> None:
            with torch.no_grad():
                for name, keep in units.expand(mask).items():
                    if name in gradients:
                        weight = model.get_parameter(name)
                        gradients[name].add_(weight.masked_fill(keep.to(weight.device), 0.0), alpha=config.decay)

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            kept = []
            for layer, size, fits in zip(layers, magnitudes(units), whole, strict=True):
                if not fits:
                    kept.append(torch.ones(layer.count, dtype=torch.bool))
                    continue
                rows = inputs_first(size.cpu().reshape(layer.shape))
                chosen = keep_n_of_m(rows, torch.ones_like(rows, dtype=torch.bool), self._n, self._m)
                kept.append(inputs_first_back(chosen, layer.shape).reshape(-1))
            return Mask(tuple(kept))

        due = lambda step: step == 0 or (step < until and step % every == 0)  # noqa: E731
        return [MaskUpdate(due, update, observe, pruned="trained")]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `sr-ste`."""
    yield Component("sr-ste", SrSteConfig, SrSte, version=1, paper="Zhou et al. 2021")
