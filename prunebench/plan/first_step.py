"""What the first step of a run needs: enough to try it while planning, before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo
from prunebench.api.recipe import Recipe


@dataclass(frozen=True)
class FirstStep:
    """A step of training under a recipe.

    Args:
        losses: those terms of the recipe that read no state of an earlier run, and no data.
    """

    data: DataInfo
    task: BoundComponent
    units: BoundComponent
    recipe: Recipe
    losses: Sequence[BoundComponent] = ()

    @property
    def identity(self) -> list[Any]:
        """All that the answer depends on, beside the network: JSON."""
        recipe = self.recipe
        parts = [recipe.optimizer, *self.losses, *([self.units] if self.losses else [])]
        return [
            list(self.data.shape),
            self.data.classes,
            self.task.trained_json(),
            [recipe.batch, recipe.label_smoothing],
            [part.to_json() for part in parts],
        ]
