"""A mean or a difference with its uncertainty. No torch, no arithmetic: `prunebench.stats` makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values and the ends of its interval; no ends where one value gives none."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends; None where there are none."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Paired:
    """A mean difference over `n` common seeds, its interval, its two-sided p, and the differences' deviation.

    One seed gives a difference and nothing else; equal differences give no interval, and a p without it.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    deviation: float | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def why(self) -> str:
        """Why there is no interval; empty if there is one."""
        if self.low is not None:
            return ""
        return "one seed gives no interval" if self.n == 1 else "equal differences give no interval"


@dataclass(frozen=True)
class Compared:
    """A paired difference of two entries and its p after Holm's correction; None where one seed gives no test."""

    pair: Paired
    p: float | None
