"""How a metric reads: which way is better, and how its numbers are printed."""

from __future__ import annotations

from dataclasses import dataclass

_LOWER = ("loss", "error", "iteration", "time", "seconds", "macs", "barrier")


@dataclass(frozen=True)
class Metric:
    """A report metric, "split/name".

    Args:
        factor: from the stored value to the printed one.
        decimals: of the printed value.
        shown: the printed unit; `apart`: the unit of a difference.
    """

    name: str
    higher: bool
    factor: float
    decimals: int
    shown: str
    apart: str

    def number(self, value: float) -> str:
        """A value as it stands in a table."""
        return f"{self.factor * value:.{self.decimals}f}"

    def signed(self, difference: float) -> str:
        """A difference as it stands in a table, always with its sign; what rounds to zero has none."""
        text = f"{self.factor * difference:+.{self.decimals}f}"
        return text[1:] if float(text) == 0 else text

    @property
    def label(self) -> str:
        """Name and printed unit."""
        return f"{self.name}, {self.shown}" if self.shown else self.name


def metric_of(name: str, unit: str) -> Metric:
    """How to read a metric. Losses, errors and iterations are better when lower, everything else when higher."""
    higher = not name.rsplit("/", 1)[-1].lower().endswith(_LOWER)
    if unit == "fraction":
        return Metric(name, higher, 100.0, 2, "%", "percentage points")
    if unit == "it":
        return Metric(name, higher, 1.0, 0, "iterations", "iterations")
    return Metric(name, higher, 1.0, 4, unit, unit)
