"""Equivalence of two paired samples: that they differ by less than a margin, or share, by two one-sided tests.

Not to find a difference is no evidence that there is none; few seeds find none. So an equality is shown by rejecting
both that the difference is below minus the margin and that it is above the margin.

Source: Schuirmann 1987; Lakens 2017 (equivalence tests); Fieller 1954 (a ratio of means by linear contrasts).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Literal

from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Paired
from prunebench.stats.student import paired

Equivalence = Literal["equal", "different", "undecided"]


def equivalence_p(pair: Paired, margin: float) -> float | None:
    """The larger p of the two one-sided tests; None where one seed gives no test.

    Where all seeds give the same difference, t has no spread to go by. If it is within the margin, p is that of a sign
    test, 2^-n: each of n differences is on the margin's inner side.

    Raises:
        PrunebenchError: the margin is not above 0.
    """
    from scipy.special import stdtr

    if not margin > 0:
        raise PrunebenchError(f"the margin of an equality must be above 0, not {margin}")
    if pair.n == 1 or pair.deviation is None:
        return None
    if pair.deviation == 0.0:
        return 2.0**-pair.n if abs(pair.difference) < margin else 1.0
    error = pair.deviation / sqrt(pair.n)
    return float(stdtr(pair.n - 1, (abs(pair.difference) - margin) / error))


def equivalence(pair: Paired, margin: float, alpha: float) -> Equivalence:
    """ "equal" if both tests reject at level alpha: the interval at level 1 - 2 alpha lies within the margin.

    "different" if the interval at level 1 - alpha lies wholly beyond it, on one side.
    """
    from scipy.special import stdtrit

    p = equivalence_p(pair, margin)
    if p is None:
        return "undecided"
    if p <= alpha:
        return "equal"
    assert pair.deviation is not None
    beyond = abs(pair.difference) - margin
    if pair.deviation == 0.0:
        return "different" if beyond > 0 and 2.0 ** (1 - pair.n) <= alpha else "undecided"
    half = float(stdtrit(pair.n - 1, 1 - alpha / 2)) * pair.deviation / sqrt(pair.n)
    return "different" if beyond > half else "undecided"


def relative_equivalence(
    a: Mapping[int, float], b: Mapping[int, float], share: float, alpha: float
) -> tuple[Equivalence, float | None]:
    """Whether the mean of a differs from that of b by less than a share of b's, and the larger p of the two tests.

    The tests are of a - (1 - share) b, which must be above 0, and of a - (1 + share) b, which must be below it, over
    the seeds that both have: no margin is estimated. "different" if an interval at level 1 - alpha of either lies
    wholly on the other side of 0.

    Raises:
        PrunebenchError: no common seed, a share that is not between 0 and 1, or a b that is not above 0, of which a
            share is no margin.
    """
    if not 0 < share < 1:
        raise PrunebenchError(f"the share of an equality must lie between 0 and 1, not {share}")
    if any(b[seed] <= 0 for seed in a.keys() & b.keys()):
        raise PrunebenchError("a share of what is not above 0 is no margin")
    lower = paired(a, {seed: (1 - share) * value for seed, value in b.items()}, alpha)
    upper = paired(a, {seed: (1 + share) * value for seed, value in b.items()}, alpha)
    sides = [_above(lower), _above(upper, -1)]
    if None in sides:
        return "undecided", None
    p = max(side for side in sides if side is not None)
    if p <= alpha:
        return "equal", p
    beyond = any(
        one.p is not None and one.p <= alpha and sign * one.difference < 0 for one, sign in ((lower, 1), (upper, -1))
    )
    return ("different" if beyond else "undecided"), p


def _above(pair: Paired, sign: int = 1) -> float | None:
    """p of the one-sided test that a difference is not above 0 (below it, for sign -1); None without a test."""
    if pair.p is None:
        return None
    if pair.deviation == 0.0:
        return 2.0**-pair.n if sign * pair.difference > 0 else 1.0
    return pair.p / 2 if sign * pair.difference > 0 else 1 - pair.p / 2
