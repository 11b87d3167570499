"""The area under the curve over density: one number for an entry, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.ranking import shared_densities
from prunebench.leaderboard.tables import NOTHING, level, mean_and_half, order
from prunebench.stats.student import student_interval


def area(values: Mapping[float, float]) -> float:
    """The trapezoidal area over ln(density), divided by its range: a mean in the metric's own unit.

    Args:
        values: by density, at two or more densities.
    """
    densities = sorted(values)
    summed = sum((values[a] + values[b]) / 2 * log(b / a) for a, b in pairwise(densities))
    return summed / log(densities[-1] / densities[0])


def areas(group: Group, entry: str, densities: Sequence[float]) -> dict[int, float]:
    """Each seed's area, for the seeds that have a value at all of the densities."""
    cells = {density: group.at(entry, density).values for density in densities}
    seeds = set.intersection(*(set(values) for values in cells.values()))
    return {seed: area({density: values[seed] for density, values in cells.items()}) for seed in sorted(seeds)}


def area_table(group: Group, metric: Metric, alpha: float) -> str:
    """Areas with Student intervals over seeds, in the order of the ranking; or why there is none."""
    shared = shared_densities(group)
    if len(shared) < 2:
        return "None: an area needs two densities below 100 % at which every ranked entry was tried."
    lines = []
    for entry in [*group.references, *order(group, metric, alpha)]:
        own = areas(group, entry, shared)
        text = mean_and_half(student_interval(own.values(), alpha), metric) if own else NOTHING
        name = escape(entry) + (" (unpruned)" if entry in group.dense else "")
        lines.append([name, str(len(own)), text])
    caption = (
        f"Area under {escape(metric.name)} over ln(density), by trapezoids through the {len(shared)} densities below "
        f"100 % shared by all ranked entries ({group.labels[shared[0]]} to {group.labels[shared[-1]]}), divided by the "
        f"range of ln(density), so in {metric.shown or 'its own unit'}. Mean ± {level(alpha)} Student interval of the "
        "seeds' areas; only seeds that are ok at all these densities count."
    )
    return "\n\n".join([caption, table(["entry", "n", "area"], lines, "lrr")])
