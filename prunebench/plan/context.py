"""What all phases of one trial have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.positions import Clock
from prunebench.api.recipe import Recipe
from prunebench.plan.specs import ComponentSpec, DataSpec, ModelSpec, WeightFile

LONGEST = 10**9
"""Iterations of a run at most."""


@dataclass(frozen=True, eq=False)
class TrialContext:
    """What all phases of a trial have in common.

    Args:
        weights: the file that the first weights are read from; None where they are drawn.
        fresh_head: the classifier's are drawn all the same.
        weights_note: what a reader must know of these weights.
    """

    data_component: BoundComponent
    data: DataInfo
    model_component: BoundComponent
    initialiser: BoundComponent | None
    model: ModelInfo
    units: BoundComponent
    task: BoundComponent
    seed: int
    weights: WeightFile | None = None
    fresh_head: bool = False
    weights_note: str = ""

    @cached_property
    def data_spec(self) -> DataSpec:
        """The data's identity: component and digest of the source."""
        return DataSpec(**self.data_component.to_json(), digest=self.data.digest)

    @cached_property
    def model_spec(self) -> ModelSpec:
        """The model's identity; of the data, only what shapes it."""
        return ModelSpec(**self.model_component.to_json(), shape=self.data.shape, classes=self.data.classes)

    @cached_property
    def init_spec(self) -> ComponentSpec | None:
        """The initialiser's identity."""
        return None if self.initialiser is None else ComponentSpec.of(self.initialiser)

    @cached_property
    def units_spec(self) -> ComponentSpec:
        """The units' identity."""
        return ComponentSpec.of(self.units)

    @cached_property
    def task_spec(self) -> ComponentSpec:
        """The task's identity, without what only changes what is measured."""
        return ComponentSpec(**self.task.trained_json())

    def clock(self, recipe: Recipe) -> Clock:
        """The clock of a run under a recipe: incomplete batches are dropped."""
        train = self.data.sizes["train"]
        if recipe.batch > train:
            raise PlanError(
                f"batch {recipe.batch:,} is larger than the {train:,} training examples of {self.data.name}"
            )
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
