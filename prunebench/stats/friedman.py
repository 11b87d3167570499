"""Entries in several blocks: mean ranks, Friedman's test and Nemenyi's critical difference. Pure functions of numbers.

A block is one model on one data set. Seeds are not blocks of their own: on one model and data they are no independent
evidence of a method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

LEAST_BLOCKS = 5
LEAST_ENTRIES = 3


@dataclass(frozen=True)
class Friedman:
    """Friedman's test over blocks.

    Args:
        statistic: chi-square, with one degree of freedom less than there are entries; None without a test.
        p: of the test.
        critical: mean ranks further apart than this differ (Nemenyi).
        why: why there is no test; empty if there is one.
    """

    statistic: float | None
    p: float | None
    critical: float | None
    why: str


def ranks(merits: Sequence[Any]) -> list[float]:
    """1 for the least; equals share the mean of their ranks."""
    return [sum(other < own for other in merits) + (merits.count(own) + 1) / 2 for own in merits]


def friedman(blocks: Sequence[Sequence[float]], alpha: float) -> Friedman:
    """Whether entries differ over blocks.

    Args:
        blocks: of each block its entries' ranks, as `ranks` gives them.
    Source: Friedman 1937; Demšar 2006.
    """
    entries = len(blocks[0])
    if entries < LEAST_ENTRIES or len(blocks) < LEAST_BLOCKS:
        return Friedman(
            None,
            None,
            None,
            f"too few: {entries} entries in {len(blocks)} blocks, and Friedman's test is "
            f"used from {LEAST_ENTRIES} entries and {LEAST_BLOCKS} blocks on",
        )
    if all(len(set(block)) == 1 for block in blocks):
        return Friedman(None, None, None, "all entries are equal in every block")
    from scipy.stats import friedmanchisquare

    test = friedmanchisquare(*zip(*blocks, strict=True))
    critical = critical_difference(entries, len(blocks), alpha)
    return Friedman(float(test.statistic), float(test.pvalue), critical, "")


def critical_difference(entries: int, blocks: int, alpha: float) -> float:
    """Nemenyi's critical difference of mean ranks. Source: Demšar 2006, equation in section 3.2.2."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, entries, inf)) / sqrt(2)
    return q * sqrt(entries * (entries + 1) / (6 * blocks))
