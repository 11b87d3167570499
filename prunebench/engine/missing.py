"""What a plan lacks in a store, and how much work that is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prunebench.api.planning import Ref
from prunebench.plan.phases import Phase
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan


class Having(Protocol):
    """What is asked of a store."""

    def have(self, addresses: Iterable[str]) -> set[str]:
        """Those of the addresses that are there."""


def missing(plan: Plan, store: Having, refs: Iterable[Ref] | None = None) -> dict[str, tuple[Ref, ...]]:
    """The outputs that must be made for some that are wanted, by phase, in no order.

    The store is asked in a few sweeps, each for all outputs that the one before has shown to be needed. Runs that
    lack something also lack what the plan has `alongside` of them.

    Args:
        refs: what is wanted; by default what the plan's results rest on.
    """
    lacking: dict[str, tuple[Ref, ...]] = {}
    # By address, whose hash is known, and not by Ref, whose is not: a plan may have 10^5 phases.
    sweep = {ref.address: ref for ref in (plan.sinks if refs is None else refs)}
    asked = set(sweep)
    while sweep:
        there = store.have(sweep)
        parents: dict[str, Ref] = {}
        for wanted, ref in sweep.items():
            if wanted in there:
                continue
            if ref.key in lacking:
                lacking[ref.key] += (ref,)
                continue
            lacking[ref.key] = (ref,)
            for parent in plan.phases[ref.key].parents:
                address = parent.address
                if address not in asked:
                    asked.add(address)
                    parents[address] = parent
        sweep = parents
    beside = {key: plan.alongside[key] for key in lacking if key in plan.alongside}
    kept = store.have({ref.address: ref for ref in beside.values()}) if beside else set()
    for key, extra in beside.items():
        if extra.address not in kept and extra not in lacking[key]:
            lacking[key] += (extra,)
    return lacking


def samples(phase: Phase, outputs: Iterable[Ref]) -> int:
    """Training images that a phase processes for these outputs, with repetition: steps x batch. 0 if it trains nothing.

    On the planned clock: a horizon that the mask stretches is known once there is a mask.
    """
    if not isinstance(phase.spec, TrainSpec):
        return 0
    last = max([ref.at or 0 for ref in outputs])
    return (last - phase.spec.start) * phase.spec.recipe.batch
