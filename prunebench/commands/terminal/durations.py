"""Durations as a person says them."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def duration_text(seconds: float) -> str:
    """A duration in at most two units, as fine as an estimate can be: "40 s", "12 min", "7 h 20 min", "3 d 4 h"."""
    if seconds < 0.95 * MINUTE:
        return f"{max(1, round(seconds))} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"
    if seconds < 0.99 * HOUR:
        return f"{max(1, round(seconds / MINUTE))} min"
    if seconds < 0.995 * DAY:
        hours, minutes = divmod(5 * round(seconds / (5 * MINUTE)), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / HOUR), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"
