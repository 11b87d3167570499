"""Honest statistics for few seeds: Student's t, paired by seed, with Holm's correction. Pure functions.

A bootstrap over three seeds is only their minimum and maximum, so there is none here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from prunebench.errors import PrunebenchError

_NOISE = 1e-12
"""Differences that differ by less than this share of the values differ by rounding only."""


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values and the ends of its interval; no ends where one value gives none."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Paired:
    """A mean difference over `n` common seeds, its interval, its two-sided p, and the differences' deviation.

    One seed gives a difference and nothing else.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    deviation: float | None = None


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

    Where all seeds give the same difference the interval has width zero, and p is the test's limit: 1 if that
    difference is zero, else 0. Raises PrunebenchError if there is no common seed.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise PrunebenchError(f"no common seed to pair by: {sorted(a)} and {sorted(b)}")
    differences = [a[seed] - b[seed] for seed in seeds]
    size = max(max(abs(a[seed]), abs(b[seed])) for seed in seeds)
    if max(differences) - min(differences) <= _NOISE * size:
        constant = differences[0] if abs(differences[0]) > _NOISE * size else 0.0
        differences = [constant] * len(seeds)
    interval = student_interval(differences, alpha)
    if interval.n == 1:
        return Paired(interval.mean, None, None, None, 1)
    return Paired(interval.mean, interval.low, interval.high, _p(differences), interval.n, stdev(differences))


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


def _quantile(alpha: float, n: int) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - alpha / 2, n - 1))


def _p(differences: Sequence[float]) -> float:
    from scipy.stats import ttest_1samp

    if min(differences) == max(differences):
        return 1.0 if differences[0] == 0 else 0.0
    return float(ttest_1samp(differences, 0.0).pvalue)
