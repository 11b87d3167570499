"""The area under a curve over density: one number for a trial."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import log


def area(values: Mapping[float, float]) -> float:
    """The trapezoidal area over ln(density), divided by its range: a mean in the values' own unit.

    Args:
        values: by density, at two or more densities above 0.
    """
    densities = sorted(values)
    summed = sum((values[a] + values[b]) / 2 * log(b / a) for a, b in pairwise(densities))
    return summed / log(densities[-1] / densities[0])


def areas(cells: Mapping[float, Mapping[int, float]]) -> dict[int, float]:
    """Each seed's area, for the seeds that have a value at all of the densities.

    Args:
        cells: values by seed, by density; two densities or more.
    """
    seeds = set.intersection(*(set(values) for values in cells.values()))
    return {seed: area({density: values[seed] for density, values in cells.items()}) for seed in sorted(seeds)}
