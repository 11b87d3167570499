"""The median with an interval that asks nothing of the distribution."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import comb


def median_interval(values: Sequence[float], alpha: float = 0.05) -> tuple[float, tuple[float, float] | None]:
    """The median, and two of the values between which the true median lies at least 1 - alpha of the time.

    There is no such pair among fewer than six values at 0.05.

    Args:
        values: independent draws of one distribution, at least one.
    Source: Conover 1999 (Practical nonparametric statistics), section 3.2: the number of values below the median is
        binomial.
    """
    ordered, n = sorted(values), len(values)
    below, rank, total = 0, 0, 2**n
    # At most `rank` values below the median has a chance of `below` / 2^n on either side.
    while 2 * (below + comb(n, rank)) <= alpha * total:
        below += comb(n, rank)
        rank += 1
    middle = statistics.median(ordered)
    return middle, (ordered[rank - 1], ordered[n - rank]) if rank else None
