"""How many units are alive after each round of a global cut, and at a density."""

from __future__ import annotations


def global_count(cut: float, round: int, units: int) -> int:
    """Units alive after a round of a global cut: round((1 - cut) ** round * units)."""
    return count_at((1.0 - cut) ** round, units)


def count_at(density: float, units: int) -> int:
    """Units alive at a density: round(density * units), a half to the even count."""
    return round(density * units)
