"""What an analysis returns: numbers and figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One number of an analysis, placed by round, position and split where these apply."""

    metric: str
    value: float
    unit: str = ""
    round: int | None = None
    position: str = ""
    split: str = ""
    exact: bool = True
    """False for what a clock measured: running it again gives another number, and that is no contradiction."""


@dataclass(frozen=True)
class Figure:
    """A picture of an analysis: `name` without a suffix, SVG text, and what it shows in one sentence."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Analysis:
    """What an analysis returns: numbers for the results, figures for the page."""

    measurements: tuple[Measurement, ...] = ()
    figures: tuple[Figure, ...] = ()
