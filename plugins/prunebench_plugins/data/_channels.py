"""Means and standard deviations of the channels of images."""

from __future__ import annotations

Channels = tuple[float, float, float]


def positive(std: Channels) -> Channels:
    """Standard deviations. Raises ValueError unless they are above 0."""
    if not min(std) > 0:
        raise ValueError("a standard deviation must be positive")
    return std
