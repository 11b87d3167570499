"""The tables over test images: what would change with other images instead of other seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.hits import HITS_OF, image_scores
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.tables import NOTHING, corner, level, order
from prunebench.stats.bootstrap import RESAMPLES, image_interval, mean_over_seeds, paired_images
from prunebench.stats.student import Interval, paired, student_interval

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Scores: TypeAlias = "Mapping[tuple[str, float], Mapping[int, NDArray[float64]]]"
Ends: TypeAlias = "tuple[float, float] | None"


def image_tables(
    group: Group, metric: Metric, against: str | None, details: Iterable[Mapping[str, Any]], alpha: float
) -> str:
    """Both kinds of interval for each value, and for each difference to `against`; or why there is none."""
    if metric.name != HITS_OF:
        return (
            f"None: only {HITS_OF} records which images a network has right, and this page is of {escape(metric.name)}."
        )
    scores = image_scores(group, details)
    if not scores:
        return (
            "None: `details.jsonl` does not have which test images each network has right, or what it has does not "
            "give the values of `results.jsonl`."
        )
    images = next(iter(next(iter(scores.values())).values())).size
    caption = (
        f"{level(alpha)} intervals. Seeds: Student's, as above: other initialisations and batches, the same images. "
        f"Images: bootstrap of the {images:,} test images with {RESAMPLES:,} resamples and a fixed seed, percentile "
        "interval: other images, the same networks. Neither covers the other's chance."
    )
    parts = [caption, _values(group, metric, scores, alpha)]
    if len(scores) < sum(bool(cell.values) for cell in group.cells.values()):
        parts.append("Some cells have no interval over images: hits of some of their runs are missing.")
    if against is not None:
        differences = _differences(group, metric, against, scores, alpha)
        if differences:
            parts += [f"Difference to {escape(against)}, {metric.apart}, paired by seed or by image:", differences]
    return "\n\n".join(parts)


def _values(group: Group, metric: Metric, scores: Scores, alpha: float) -> str:
    def ends(entry: str, density: float) -> tuple[Ends, Ends]:
        cell, own = group.cells.get((entry, density)), scores.get((entry, density))
        seeds = _ends(student_interval(cell.values.values(), alpha)) if cell and cell.values else None
        return seeds, None if own is None else _ends(image_interval(mean_over_seeds(own), alpha))

    return _pairs_of_lines(
        group, [*group.references, *order(group, metric, alpha)], group.densities, ends, metric.number
    )


def _differences(group: Group, metric: Metric, against: str, scores: Scores, alpha: float) -> str:
    def ends(entry: str, density: float) -> tuple[Ends, Ends]:
        ours, theirs = group.at(entry, density).values, group.at(against, density).values
        if not ours.keys() & theirs.keys():
            return None, None
        pair = paired(ours, theirs, alpha)
        seeds = None if pair.low is None or pair.high is None else (pair.low, pair.high)
        a, b = (scores.get((name, 1.0 if name in group.dense else density)) for name in (entry, against))
        apart = None if a is None or b is None else paired_images(a, b)
        return seeds, None if apart is None else _ends(image_interval(apart, alpha))

    entries = [entry for entry in order(group, metric, alpha) if entry != against]
    densities = [d for d in group.densities if d < 1 and any(group.at(e, d).values for e in entries)]
    if not entries or not densities or not any(group.at(against, density).values for density in densities):
        return ""
    return _pairs_of_lines(group, entries, densities, ends, metric.signed)


def _pairs_of_lines(
    group: Group,
    entries: Sequence[str],
    densities: Sequence[float],
    ends: Callable[[str, float], tuple[Ends, Ends]],
    number: Callable[[float], str],
) -> str:
    lines = []
    for entry in entries:
        both = [ends(entry, density) for density in densities]
        for place, kind in enumerate(("seeds", "images")):
            cells = [_between(one[place], number) for one in both]
            lines.append([escape(entry) if place == 0 else "", kind, *cells])
    head = [corner(group), "other", *(group.labels[density] for density in densities)]
    return table(head, lines, "ll" + "r" * len(densities))


def _between(ends: Ends, number: Callable[[float], str]) -> str:
    return NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _ends(interval: Interval) -> Ends:
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)
