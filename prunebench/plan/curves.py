"""How a run is measured while it trains."""

from __future__ import annotations

from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.planning import Run
from prunebench.benchmark.tables import Measure


def curve_spec(measure: Measure, task: BoundComponent, run: Run) -> dict[str, Any]:
    """How a curve is measured, in the iterations of its run."""
    points = set()
    for position in measure.at:
        iteration = position.iterations(run.clock)
        if not run.start <= iteration <= run.stop:
            raise PlanError(f'measure.at: "{position}" (iteration {iteration:,}) is outside of the run')
        points.add(iteration)
    return {
        "task": task.to_json(),
        "every": None if measure.every is None else max(1, measure.every.iterations(run.clock)),
        "at": sorted(points),
        "splits": sorted(measure.splits),
        "train_sample": measure.train_sample if "train" in measure.splits else None,
    }
