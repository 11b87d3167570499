"""The best of several candidates, judged without the luck that made it the best. Pure functions.

The greatest of several means is too high on average, and the more candidates, the higher: a set of six "beats" a set of
three though all nine are equal. Here each seed is judged by the candidate that the other seeds choose, and they choose
by another metric, of other images, so that neither a lucky seed nor lucky images speak for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from statistics import mean
from typing import TypeAlias

from prunebench.api.estimates import Interval, Paired
from prunebench.stats.student import paired, student_interval

Values: TypeAlias = Mapping[str, Mapping[int, float]]
"""By candidate, then by seed. A trial that is not ok has no value."""


@dataclass(frozen=True)
class Pick:
    """What stands for a set in one seed: a candidate, and its value there; None where its trial there is not ok."""

    candidate: str
    value: float | None


def best(values: Values, seeds: frozenset[int], higher: bool) -> str | None:
    """The candidate of the best mean over these seeds, equals going to the first; None if none has a value in each.

    A candidate with a trial that is not ok is no candidate: its mean over the others would hide the failure.
    """
    if not seeds:
        return None
    whole = {name: mean(own[seed] for seed in sorted(seeds)) for name, own in values.items() if seeds <= own.keys()}
    if not whole:
        return None
    return (max if higher else min)(whole, key=whole.__getitem__)


def left_out(choose: Values, judge: Values, seeds: frozenset[int], higher: bool) -> dict[int, Pick]:
    """The pick of each seed, chosen by the mean of `choose` over the other seeds, with its value of `judge` there.

    Empty for one seed, and without the seeds for which no candidate is whole in the others. The mean of the values is
    that of the procedure "choose by n - 1 seeds", which a choice by n seeds can only be expected to reach or to pass.
    Source: Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
    """
    picks = {}
    for seed in sorted(seeds):
        chosen = best(choose, seeds - {seed}, higher)
        if chosen is not None:
            picks[seed] = Pick(chosen, judge.get(chosen, {}).get(seed))
    return picks


def naive(judge: Values, seeds: frozenset[int], higher: bool) -> dict[int, Pick]:
    """Every seed's value of the candidate that is best on the very values that judge it: too good on average."""
    chosen = best(judge, seeds, higher)
    return {} if chosen is None else {seed: Pick(chosen, judge[chosen][seed]) for seed in sorted(seeds)}


def values_of(picks: Mapping[int, Pick]) -> dict[int, float]:
    """The picks' values by seed, without those whose trial is not ok."""
    return {seed: pick.value for seed, pick in picks.items() if pick.value is not None}


def interval_of(picks: Mapping[int, Pick], alpha: float) -> Interval | None:
    """The mean of the picks' values with a widened Student interval; None if there is no value."""
    values = values_of(picks)
    if not values:
        return None
    plain = student_interval(values.values(), alpha)
    if plain.low is None or plain.high is None:
        return plain
    half = (plain.high - plain.mean) * widening(plain.n)
    return replace(plain, low=plain.mean - half, high=plain.mean + half)


def difference(a: Mapping[int, Pick], b: Mapping[int, Pick], alpha: float) -> Paired | None:
    """The mean of a - b over the seeds that both have, widened; None if they have none in common.

    Where one seed or equal differences give no interval, there is none either.
    """
    from scipy.special import stdtr

    ours, theirs = values_of(a), values_of(b)
    if not ours.keys() & theirs.keys():
        return None
    plain = paired(ours, theirs, alpha)
    if plain.low is None or plain.high is None or not plain.deviation:
        return plain
    wider = widening(plain.n)
    half = (plain.high - plain.difference) * wider
    t = abs(plain.difference) / plain.deviation * sqrt(plain.n) / wider
    p = float(2 * stdtr(plain.n - 1, -t))
    return replace(plain, low=plain.difference - half, high=plain.difference + half, p=p)


def widening(n: int) -> float:
    """How much wider than Student's an interval of left-out seeds is: sqrt(1 + n / (n - 1)).

    Left-out values depend on one another, for each seed helps to choose for all others; taken as independent they err
    twice as often as they say. Source: Nadeau & Bengio 2003, section 5, with one tested for n - 1 that choose.
    """
    return sqrt(1 + n / (n - 1))
