"""The tables over test images: what would change with other images instead of other seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from prunebench.api.board import Board, Group
from prunebench.api.estimates import Interval, Paired
from prunebench.api.report import NOTHING, corner, escape, level, table

Ends: TypeAlias = tuple[float, float] | None


def image_tables(group: Group, board: Board) -> str:
    """Both kinds of interval for each value, and for each difference to `against`; or why there is none."""
    metric, images, recorded = group.metric, group.images, board.provenance.judged_by
    if metric.name != recorded:
        return (
            f"None: only {escape(recorded)} records which images a network has right, and this page is of "
            f"{escape(metric.name)}."
        )
    if images is None:
        return (
            "None: `details.jsonl` does not have which test images each network has right, or what it has does not "
            "give the values of `results.jsonl`."
        )
    caption = (
        f"{level(board.alpha)} intervals. Seeds: Student's, as above: other initialisations and batches, the same "
        f"images. Images: bootstrap of the {images.count:,} test images with {images.resamples:,} resamples and a "
        "fixed seed, percentile interval: other images, the same networks. Neither covers the other's chance."
    )
    parts = [caption, _values(group)]
    if group.axis != "density":
        parts.append("Values at an equal cost are not of one ticket alone, and have no interval over images.")
    elif not images.whole:
        parts.append("Some cells have no interval over images: hits of some of their runs are missing.")
    if group.differences is not None:
        differences = _differences(group)
        if differences:
            against = escape(group.differences.against)
            parts += [f"Difference to {against}, {metric.apart}, paired by seed or by image:", differences]
    return "\n\n".join(parts)


def _values(group: Group) -> str:
    def ends(entry: str, place: float) -> tuple[Ends, Ends]:
        cell = group.entries[entry].cells.get(place)
        if cell is None:
            return None, None
        return _ends(cell.interval), _ends(cell.over_images)

    return _pairs_of_lines(group, [entry.name for entry in group.shown], group.places, ends, group.metric.number)


def _differences(group: Group) -> str:
    found = group.differences
    assert found is not None

    def ends(entry: str, place: float) -> tuple[Ends, Ends]:
        one = found.by_place.get((entry, place))
        if one is None:
            return None, None
        return _ends(one.pair), _ends(one.over_images)

    entries = [entry for entry in group.order if entry != found.against]
    places = [p for p in group.places if p < 1 and any(group.at(entry, p).values for entry in entries)]
    if not entries or not places or not any(group.at(found.against, place).values for place in places):
        return ""
    return _pairs_of_lines(group, entries, places, ends, group.metric.signed)


def _pairs_of_lines(
    group: Group,
    entries: Sequence[str],
    places: Sequence[float],
    ends: Callable[[str, float], tuple[Ends, Ends]],
    number: Callable[[float], str],
) -> str:
    lines = []
    for entry in entries:
        both = [ends(entry, place) for place in places]
        for line, kind in enumerate(("seeds", "images")):
            cells = [_between(one[line], number) for one in both]
            lines.append([escape(entry) if line == 0 else "", kind, *cells])
    head = [corner(group), "other", *(group.labels[place] for place in places)]
    return table(head, lines, "ll" + "r" * len(places))


def _ends(estimate: Interval | Paired | None) -> Ends:
    return None if estimate is None else estimate.ends


def _between(ends: Ends, number: Callable[[float], str]) -> str:
    return NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"
