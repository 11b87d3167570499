"""The curves of a run: where they have points, and the points that were measured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.engine.stretch import StretchedClock
from prunebench.plan.curves import CurveSpec

Points = list[dict[str, Any]]
"""Points of one curve in order, each with its step as "iteration" and a value, or None, by "split/metric"."""


class Curves:
    """What is measured of a run while it trains, and what was measured.

    Args:
        specs: how each curve is measured, by its digest.
        start: the step that the run starts at.
        points: what is known already, from a checkpoint.
    """

    def __init__(
        self,
        specs: Mapping[str, CurveSpec],
        clock: StretchedClock,
        start: int,
        points: Mapping[str, Points] | None = None,
    ) -> None:
        self.specs, self.points = specs, dict(points or {})
        self._clock, self._start = clock, start

    def places(self, curve: str, stop: int) -> list[int]:
        """The steps at which a curve up to `stop` has a point: multiples of `every`, stated ones, and both ends."""
        spec = self.specs[curve]
        return spec.places(self._start, stop, map(self._clock.steps, spec.at))

    def left(self, curve: str, position: int, stop: int) -> list[int]:
        """Of those, the steps from `position` on at which it must still be measured.

        The last point is measured even if it is known: which images were right there is not.
        """
        known = {point["iteration"] for point in self.points.get(curve, ())}
        return [step for step in self.places(curve, stop) if step >= position and (step not in known or step == stop)]

    def has_until(self, curve: str, position: int, stop: int) -> bool:
        """Whether every point before `position` is known."""
        known = {point["iteration"] for point in self.points.get(curve, ())}
        return known.issuperset(step for step in self.places(curve, stop) if step < position)

    def add(self, curve: str, step: int, values: Mapping[str, float | None]) -> None:
        """Note what was measured at a step, in place of what was known from there on."""
        before = self.up_to(curve, step - 1)
        self.points[curve] = [*before, {"iteration": step, **values}]

    def up_to(self, curve: str, step: int) -> Sequence[dict[str, Any]]:
        """The points up to a step."""
        return [point for point in self.points.get(curve, ()) if point["iteration"] <= step]
