"""Random scores: every unit has the same chance to live, the baseline that a score has to beat.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 2.3
(global random); Frankle & Carbin 2019, appendix E (random sparsity).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.masks import Scores, Units
    from prunebench.api.random import Rng


class Random:
    """Scores drawn from U(0, 1), without looking at the weights."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_score(self, units: Units, rng: Rng) -> Scores:
        """One uniform number per unit, drawn on the CPU so that it is the same for every device."""
        import torch

        from prunebench.api.masks import Scores

        return Scores(
            tuple(
                torch.rand(layer.count, generator=rng.torch(index), dtype=torch.float64)
                for index, layer in enumerate(units.layers)
            )
        )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `random`."""
    yield Component("random", ComponentConfig, Random, version=1, paper="Frankle & Carbin 2019")
