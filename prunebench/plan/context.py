"""What all phases of one trial have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.positions import Clock
from prunebench.api.recipe import Recipe

LONGEST = 10**9
"""Iterations of a run at most."""


@dataclass(frozen=True, eq=False)
class TrialContext:
    """What all phases of a trial have in common."""

    data_use: BoundComponent
    data: DataInfo
    model_use: BoundComponent
    init_use: BoundComponent | None
    model: ModelInfo
    units_use: BoundComponent
    seed: int
    weights: Mapping[str, str] | None = None
    """The file that the first weights are read from, and its digest."""

    @cached_property
    def data_json(self) -> dict[str, Any]:
        """The data's identity: component and digest of the source."""
        return {**self.data_use.to_json(), "digest": self.data.digest}

    @cached_property
    def model_json(self) -> dict[str, Any]:
        """The model's identity; of the data, only what shapes it."""
        return {**self.model_use.to_json(), "shape": list(self.data.shape), "classes": self.data.classes}

    def clock(self, recipe: Recipe) -> Clock:
        """The clock of a run under a recipe: incomplete batches are dropped."""
        train = self.data.sizes["train"]
        if recipe.batch > train:
            raise PlanError(f"batch {recipe.batch:,} is larger than the {train:,} training images of {self.data.name}")
        steps = train // recipe.batch
        horizon = recipe.horizon.iterations(Clock(steps))
        if horizon == 0 and str(recipe.horizon) != "0it":
            raise PlanError(
                f'horizon "{recipe.horizon}" rounds to no iteration, for an epoch has {steps:,}; train longer, or '
                'write "0it" to judge weights as they are'
            )
        if horizon > LONGEST:
            raise PlanError(f'horizon "{recipe.horizon}" is {horizon:,} iterations; at most {LONGEST:,} can be')
        return Clock(steps, horizon)
