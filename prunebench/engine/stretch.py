"""A mask may stretch the clock of the run that trains under it: one planned iteration is then more than one step.

Source: Liu et al. 2019, section 3 (Scratch-B): the smaller network is trained for as much work as the larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.engine.workbench import Workbench
from prunebench.kernels.macs import macs_of
from prunebench.plan.specs import TrainSpec


@dataclass(frozen=True)
class StretchedClock:
    """Converts between iterations of the planned clock and the steps that the loop does."""

    steps_per_iteration: float = 1.0

    def steps(self, iteration: int) -> int:
        """Steps done at an iteration."""
        return round(iteration * self.steps_per_iteration)

    def iteration(self, step: int) -> int:
        """The iteration that a step belongs to: the last one that has begun."""
        before = int(step / self.steps_per_iteration)
        return before + 1 if self.steps(before + 1) <= step else before


def clock_of(spec: TrainSpec, workbench: Workbench) -> StretchedClock:
    """The clock of a run: stretched, where its spec says so, by the share of work that its mask saves in a step."""
    stretch = spec.stretch
    if stretch is None:
        return StretchedClock()
    assert spec.units is not None
    model = workbench.model(spec.model, workbench.tensors(spec.weights))
    units = workbench.units(spec.units, spec.task, spec.model, model)
    macs = macs_of(model, workbench.example(spec.task, spec.model), units, workbench.mask(spec.mask))
    # An empty network does nothing, however long it trains.
    ratio = macs.dense / macs.effective if macs.effective else 1.0
    return StretchedClock(ratio if stretch.at_most is None else min(ratio, stretch.at_most))
