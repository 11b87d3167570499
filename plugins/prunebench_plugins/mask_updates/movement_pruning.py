"""Movement pruning: weights that training moves away from 0 stay, whatever their size.

A weight's score is minus the sum, over all steps, of its value times the gradient that the pruned network has there
(straight through the mask). A pruned weight keeps the value that it had, unseen, and its score goes on: it may come
back with that value. The number of units falls along the cubic curve of `gradual-magnitude`, and the highest scores of
all layers together, or of each layer, stay.

Here scores are sums with a constant rate, since only their order counts; the paper trains them with an optimizer.

Source: Sanh et al. 2020 (Movement pruning), section 4, equations 2 to 4 and table 1 (hard, with a schedule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench.api.positions import Clock
from prunebench.api.training import MaskUpdate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Needs, Request


class MovementPruningConfig(ComponentConfig):
    """When, and among what.

    Args:
        start, end: the window in which the number of units falls.
        every: how often the mask is taken anew, up to the horizon.
        among: what is compared: "all" weights, or those of each "layer", which all keep the same share.
    """

    start: Position = Position.parse("0it")
    end: Position = Position.parse("50%")
    every: Position = Position.parse("100it")
    among: Literal["all", "layer"] = "all"

    @model_validator(mode="after")
    def _in_order(self) -> MovementPruningConfig:
        if self.start.unit == self.end.unit and self.start.amount > self.end.amount:
            raise ValueError(f'`end` ("{self.end}") comes before `start` ("{self.start}")')
        return self


class MovementPruning:
    """Keeps what moves away from 0."""

    def __init__(self, config: MovementPruningConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """No part in a run that prunes nothing; an error where no single weights are pruned."""
        from prunebench.api.planning import Needs
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "movement-pruning")
        return Needs(active=request.ticket is None or request.ticket.count != request.chain.model.units)

    @hookimpl
    def prunebench_mask_updates(
        self, model: nn.Module, units: Units, mask: Mask, count: int, horizon: int
    ) -> list[MaskUpdate]:
        """Scores from the first step on; a new mask every so often, and from `end` on with exactly `count` units."""
        import torch

        from prunebench.api.masks import Mask
        from prunebench.kernels.selection import keep_highest
        from prunebench.kernels.shares import shared
        from prunebench_plugins.mask_updates._exchange import cubic, highest, orderly

        config, clock = self._config, Clock(steps_per_epoch=1, horizon=horizon)
        start, end, every = (p.iterations(clock) for p in (config.start, config.end, config.every))
        last, first_count = min(end, horizon - 1), mask.count
        scores = {name: torch.zeros_like(model.get_parameter(name).detach()) for name in units.expand(mask)}

        def observe(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> None:
            with torch.no_grad():
                for name, score in scores.items():
                    if name in gradients:  # a layer that no example passes has none
                        score.addcmul_(gradients[name], model.get_parameter(name), value=-1)

        def due(step: int) -> bool:
            return step == last or (step >= start and (step - start) % max(every, 1) == 0)

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            kept = cubic(first_count, count, start, last, step)
            worth = tuple(orderly(values) for values in units.reduce(lambda name, weight: scores[name]).values)
            everything = Mask.full(units.layers)
            if config.among == "all":
                return Mask(keep_highest(worth, everything.keep, kept))
            counts = shared(kept, everything.counts, everything.counts)
            return Mask(tuple(map(highest, worth, everything.keep, counts)))

        return [MaskUpdate(due, update, observe, state=scores, pruned="frozen")]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `movement-pruning`."""
    yield Component("movement-pruning", MovementPruningConfig, MovementPruning, version=1, paper="Sanh et al. 2020")
