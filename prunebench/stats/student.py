"""Honest statistics for few seeds: Student's t, paired by seed, with Holm's correction. Pure functions.

A bootstrap over three seeds is only their minimum and maximum, so there is none here; images are another matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from statistics import mean, stdev

from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Interval, Paired

_NOISE = 1e-12
"""Differences that differ by less than this share of the values differ by rounding only."""


def student_interval(values: Iterable[float], alpha: float) -> Interval:
    """The mean of independent values and its two-sided Student interval at level 1 - alpha.

    Equal values give an interval of width zero. Raises PrunebenchError if there is no value.
    Source: Student 1908.
    """
    sample = list(values)
    if not sample:
        raise PrunebenchError("no value to take a mean of")
    centre = mean(sample)
    if len(sample) == 1:
        return Interval(centre, None, None, 1)
    half = _quantile(alpha, len(sample)) * stdev(sample) / sqrt(len(sample))
    return Interval(centre, centre - half, centre + half, len(sample))


def paired(a: Mapping[int, float], b: Mapping[int, float], alpha: float) -> Paired:
    """The mean of a - b over the seeds that both have: interval at level 1 - alpha, p of a two-sided t-test.

    Where all seeds give the same difference, t has no spread to go by, and two seeds would "prove" one image of a
    thousand: there is no interval then, and p is the exact sign test's, 2^(1-n). Where that difference is zero, the
    interval has width zero and p is 1. Raises PrunebenchError if there is no common seed.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise PrunebenchError(f"no common seed to pair by: {sorted(a)} and {sorted(b)}")
    differences = [a[seed] - b[seed] for seed in seeds]
    size = max(max(abs(a[seed]), abs(b[seed])) for seed in seeds)
    if max(differences) - min(differences) <= _NOISE * size:
        constant = differences[0] if abs(differences[0]) > _NOISE * size else 0.0
        differences = [constant] * len(seeds)
    n = len(seeds)
    if n == 1:
        return Paired(differences[0], None, None, None, 1)
    if min(differences) == max(differences) != 0.0:
        return Paired(differences[0], None, None, 2.0 ** (1 - n), n, 0.0)
    centre, deviation = mean(differences), stdev(differences)
    half = _quantile(alpha, n) * deviation / sqrt(n)
    return Paired(centre, centre - half, centre + half, _p(centre, deviation, n), n, deviation)


def within(interval: Interval, low: float | None, high: float | None) -> Interval:
    """An interval without what lies beyond a range: no share is below 0 or above 1, whatever t says of two seeds."""
    if interval.ends is None:
        return interval
    return replace(interval, low=_within(interval.ends[0], low, high), high=_within(interval.ends[1], low, high))


def difference_within(pair: Paired, low: float | None, high: float | None) -> Paired:
    """The same of a difference of two values that both lie in a range."""
    if pair.ends is None or low is None or high is None:
        return pair
    span = high - low
    return replace(pair, low=_within(pair.ends[0], -span, span), high=_within(pair.ends[1], -span, span))


def _within(end: float, low: float | None, high: float | None) -> float:
    end = end if low is None else max(end, low)
    return end if high is None else min(end, high)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given: never below p, never above 1, the order of ps kept.

    Source: Holm 1979.
    """
    corrected = [0.0] * len(ps)
    running = 0.0
    for step, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        running = max(running, min(1.0, (len(ps) - step) * ps[index]))
        corrected[index] = running
    return corrected


def detectable(deviation: float, n: int, alpha: float, power: float = 0.8) -> float:
    """The smallest true mean difference that a two-sided paired t-test of n >= 2 pairs finds with this power.

    Args:
        deviation: standard deviation of the paired differences, in their unit; so is the result.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    critical = _quantile(alpha, n)

    def shortfall(noncentrality: float) -> float:
        return float(nct.sf(critical, n - 1, noncentrality)) - power

    # the far tail adds less than alpha / 2 even without any effect, and nothing where the power is 0.8
    return float(brentq(shortfall, 0.0, 10.0 * (critical + 1.0))) * deviation / sqrt(n)


def below(pair: Paired) -> float | None:
    """p of the one-sided test that a is below b; None where one seed gives no test."""
    if pair.p is None:
        return None
    return pair.p / 2 if pair.difference < 0 else 1 - pair.p / 2


def _quantile(alpha: float, n: int) -> float:
    # scipy.stats.t is these two functions and, at thousands of cells, seconds of checking arguments
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 1 - alpha / 2))


def _p(centre: float, deviation: float, n: int) -> float:
    from scipy.special import stdtr

    return 1.0 if deviation == 0.0 else float(2 * stdtr(n - 1, -abs(centre) / deviation * sqrt(n)))
