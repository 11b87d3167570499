"""What the first step of a run needs: enough to try it while planning, before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo
from prunebench.api.recipe import Recipe
from prunebench.components.managers import accepts


@dataclass(frozen=True)
class FirstStep:
    """A step of training under a recipe, and the scores of the network that it starts with.

    Args:
        losses: those terms of the recipe that read no state of an earlier run.
        scores: scores that read neither such a state nor the data.
    """

    data: DataInfo
    task: BoundComponent
    units: BoundComponent
    recipe: Recipe
    losses: Sequence[BoundComponent] = ()
    scores: Sequence[BoundComponent] = ()

    @property
    def identity(self) -> list[Any]:
        """All that the answer depends on, beside the network: JSON."""
        recipe = self.recipe
        parts = [recipe.optimizer, *self.losses, *self.scores, *([self.units] if self.losses or self.scores else [])]
        return [
            list(self.data.shape),
            self.data.classes,
            self.task.trained_json(),
            [recipe.batch, recipe.label_smoothing],
            [part.to_json() for part in parts],
        ]


def of_score(score: BoundComponent | None) -> tuple[BoundComponent, ...]:
    """A score, if a network and its units are all that it needs."""
    needs = ("data", "rng", "inputs")
    if score is None or any(accepts(score.planner, "prunebench_score", argument) for argument in needs):
        return ()
    return (score,)
