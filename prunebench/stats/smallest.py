"""The smallest density at which an entry still has the dense network's value. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prunebench.api.board import Smallest
from prunebench.stats.student import below, paired


@dataclass(frozen=True)
class Step:
    """What was tried at one density: values by seed, and the seeds whose trial is not ok."""

    density: float
    values: Mapping[int, float]
    broken: frozenset[int] = frozenset()


def smallest(walk: Sequence[Step], reference: Mapping[int, float], higher: bool, alpha: float) -> Smallest:
    """Walk from dense to sparse and stop at the first density that does not hold.

    Over seeds a density holds unless a trial there is not ok, or the one-sided paired t-test at alpha shows the value
    to be worse than the reference; for one seed it holds unless its value is worse than that seed's reference.

    Args:
        walk: what was tried, from dense to sparse.
        reference: the dense network's values by seed.
        higher: whether more is better.
    """
    sign = 1.0 if higher else -1.0
    held = {seed: sign * value for seed, value in reference.items()}
    tested, testable, holds = None, False, True
    by_seed: dict[int, float | None] = dict.fromkeys(sorted(held))
    going = set(held)
    for step in walk:
        values = {seed: sign * value for seed, value in step.values.items()}
        common = values.keys() & held.keys()
        p = below(paired(values, held, alpha)) if common else None
        testable = testable or p is not None
        holds = holds and not step.broken and p is not None and p >= alpha
        tested = step.density if holds else tested
        going = {seed for seed in going & common if values[seed] >= held[seed]}
        by_seed |= dict.fromkeys(going, step.density)
    tried = {seed for step in walk for seed in (*step.values, *step.broken)}
    return Smallest(tested, testable, {seed: by_seed[seed] for seed in sorted(tried & held.keys())})
