"""How a run is measured while it trains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.planning import Run
from prunebench.benchmark.bounds import PLACES
from prunebench.benchmark.tables import Measure
from prunebench.plan.json_values import canonical
from prunebench.plan.specs import ComponentSpec


@dataclass(frozen=True)
class CurveSpec:
    """When and of what a run is measured, in iterations of its clock.

    Args:
        task: what is measured.
        every: at multiples of it, beside both ends; None for none.
        at: at these, too.
        train_sample: examples of the training sample; None where "train" is not measured.
    """

    task: ComponentSpec
    every: int | None
    at: tuple[int, ...]
    splits: tuple[str, ...]
    train_sample: int | None

    @cached_property
    def digest(self) -> str:
        """What tells a curve from others of its run: the `detail` of its reference."""
        return hashlib.sha256(canonical(self).encode()).hexdigest()

    def places(self, start: int, stop: int, stated: Iterable[int]) -> list[int]:
        """The steps from `start` to `stop` at which there is a point: multiples of `every`, `stated` ones, both ends.

        Args:
            stated: `at`, as steps of the run.
        """
        multiples = range((start // self.every + 1) * self.every, stop, self.every) if self.every else ()
        return sorted({start, stop, *multiples, *(step for step in stated if start <= step <= stop)})


def curve_spec(measure: Measure, task: BoundComponent, run: Run) -> CurveSpec:
    """How a curve is measured.

    Raises:
        PlanError: a position outside of the run, or more of them than a curve can hold.
    """
    points = set()
    for position in measure.at:
        iteration = position.iterations(run.clock)
        if not run.start <= iteration <= run.stop:
            raise PlanError(f'measure.at: "{position}" (iteration {iteration:,}) is outside of the run')
        points.add(iteration)
    if measure.every is not None and not measure.every.amount:
        raise PlanError(f'measure.every: "{measure.every}" is no distance; leave it out to measure at both ends alone')
    every = None if measure.every is None else max(1, measure.every.iterations(run.clock))
    places = 0 if every is None else (run.stop - run.start) // every
    if places > PLACES:
        raise PlanError(
            f'measure.every: "{measure.every}" is {places:,} places of a run of {run.stop - run.start:,} iterations; '
            f"at most {PLACES:,} can be"
        )
    return CurveSpec(
        task=ComponentSpec.of(task),
        every=every,
        at=tuple(sorted(points)),
        splits=tuple(sorted(measure.splits)),
        train_sample=measure.train_sample if "train" in measure.splits else None,
    )
