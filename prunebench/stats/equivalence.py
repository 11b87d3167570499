"""Equivalence of two paired samples: that they differ by less than a margin, by two one-sided tests.

Not to find a difference is no evidence that there is none; few seeds find none. So an equality is shown by rejecting
both that the difference is below minus the margin and that it is above the margin.

Source: Schuirmann 1987; Lakens 2017 (equivalence tests).
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Paired

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
