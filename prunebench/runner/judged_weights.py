"""Which judged weights a run leaves in the store, for `prunebench export`, and how much disk a plan takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from prunebench.api.planning import Ref
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan

Keep = Literal["none", "small", "judged"]

SMALL = 2**30
"""Bytes that the judged weights of a file may take together to be kept without being asked for."""
CURVE = 4_096
"""Bytes that anything but weights, optimizer states and masks is taken to have: curves, records, analyses."""


def kept(plan: Plan, keep: Keep) -> Plan:
    """A plan that also makes the judged weights, where they are to be kept.

    Args:
        keep: "judged" asks for them as for results, so that a run that lacks them is trained again. "small" has them
            written by the runs that are trained anyway, where all of them together are small. "none" keeps none.
    """
    if keep == "judged":
        return replace(plan, also=(*plan.also, *judged_weights(plan)))
    if keep == "small":
        judged, sizes = judged_weights(plan), Sizes(plan)
        if sum(map(sizes.of, judged)) <= SMALL:
            return replace(plan, alongside={ref.key: ref for ref in judged})
    return plan


def judged_weights(plan: Plan) -> list[Ref]:
    """The weights at the end of each run that judges a ticket."""
    refs = (evaluation.run.end for trial in plan.trials for evaluation in trial.evaluations)
    return list({ref.address: ref for ref in refs}.values())


class Sizes:
    """About how many bytes outputs of a plan take in the store: float32 tensors, a bit for each unit of a mask."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._parameters: dict[str, int] = {}
        """By the canonical JSON of the model."""
        self._units = max((trial.units for trial in plan.trials), default=0)
        for trial in plan.trials:
            for evaluation in trial.evaluations:
                spec = plan.phases[evaluation.run.key].spec
                if isinstance(spec, TrainSpec):
                    self._parameters[spec.model.canonical] = trial.parameters
        self._most = max(self._parameters.values(), default=0)

    def of(self, ref: Ref) -> int:
        """Bytes of one output. An optimizer's state is taken to be as large as the weights."""
        if ref.part in ("weights", "optimizer"):
            return 4 * self._parameters.get(self._plan.phases[ref.key].spec.model.canonical, self._most)
        return self._units // 8 + CURVE if ref.part == "mask" else CURVE


@dataclass(frozen=True)
class Disk:
    """About how many bytes a run still writes, and of these, the judged weights that it keeps.

    Args:
        unkept: bytes of the judged weights that it would keep if it were told to.
    """

    total: int
    judged: int
    unkept: int


def disk(plan: Plan, lacking: Mapping[str, Iterable[Ref]]) -> Disk:
    """The estimate for the outputs that a store lacks."""
    sizes = Sizes(plan)
    judged = {ref.address: sizes.of(ref) for ref in judged_weights(plan)}
    made = {ref.address: sizes.of(ref) for refs in lacking.values() for ref in refs}
    kept_bytes = sum(size for address, size in judged.items() if address in made)
    asked = bool(plan.alongside) or any(ref.address in judged for ref in plan.also)
    return Disk(sum(made.values()), kept_bytes, 0 if asked else sum(judged.values()))
