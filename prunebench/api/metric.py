"""How a metric reads: which way is better, its range, and how its numbers are printed. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunebench.api.provenance import MetricInfo

_LOWER = ("loss", "error", "iteration", "time", "seconds", "macs", "barrier")


@dataclass(frozen=True)
class Metric:
    """A report metric, "SPLIT/NAME", and how to print it.

    Args:
        higher: whether more is better.
        factor: from the stored value to the printed one.
        decimals: of the printed value.
        shown: the printed unit; `apart`: the unit of a difference.
        low, high: the metric's range in its stored unit, where it has ends.
        unit: the stored unit, as rows have it.
    """

    name: str
    higher: bool
    factor: float
    decimals: int
    shown: str
    apart: str
    low: float | None = None
    high: float | None = None
    unit: str = ""

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

    @property
    def title(self) -> str:
        """Name and printed unit as words, for an axis."""
        words = self.name.replace("/", " ").replace("_", " ")
        return f"{words}, {self.shown}" if self.shown else words


def metric_of(name: str, unit: str, known: Mapping[str, MetricInfo] | None = None) -> Metric:
    """How to read a metric.

    Args:
        name: "SPLIT/NAME".
        unit: of its stored values, as rows have it.
        known: what the task says of its metrics, by "SPLIT/NAME" or by name. For what it does not say, losses, errors
            and iterations are better when lower and everything else when higher; fractions of a split lie between 0 and
            1, losses and iterations above 0.
    """
    info = _info(name, known or {})
    unit = unit or (info.unit if info else "")
    low, high = (info.low, info.high) if info else _range(name, unit)
    higher = info.higher if info else not name.rsplit("/", 1)[-1].lower().endswith(_LOWER)
    if unit == "fraction":
        return Metric(name, higher, 100.0, 2, "%", "percentage points", low, high, unit)
    if unit == "it":
        return Metric(name, higher, 1.0, 0, "iterations", "iterations", low, high, unit)
    return Metric(name, higher, 1.0, 4, unit, unit, low, high, unit)


def _range(name: str, unit: str) -> tuple[float | None, float | None]:
    split, _, measured = name.partition("/")
    # of an analysis there is more behind the split, and its fraction may be a difference
    if unit == "fraction" and split in ("train", "valid", "test") and "/" not in measured:
        return 0.0, 1.0
    return (0.0, None) if name.endswith("loss") or unit == "it" else (None, None)


def _info(name: str, known: Mapping[str, MetricInfo]) -> MetricInfo | None:
    return known.get(name) or known.get(name.rsplit("/", 1)[-1])
