"""All entries minus one, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from prunebench.api.board import Cell, Detectable, Difference, Differences, Group, Overall
from prunebench.api.estimates import Paired
from prunebench.api.metric import Metric
from prunebench.leaderboard.correct import Scores
from prunebench.leaderboard.source import Tried
from prunebench.stats.bootstrap import image_interval, paired_images
from prunebench.stats.ranking import seed_scores
from prunebench.stats.student import detectable, difference_within, holm, paired

MORE_PAIRS = (5, 10, 20)
"""Numbers of pairs for which the least detectable difference is computed, where they are more than there are."""


def differences_of(
    cells: Mapping[str, Mapping[float, Cell]], tried: Tried, against: str, scores: Scores, alpha: float
) -> Differences:
    """Each entry minus the reference, at each place and over all of them.

    At place 1 nothing is pruned: only dense networks are compared there, and only there.

    Args:
        cells: by entry, in the order of the main table, and by place; of a dense entry the same cell at all places.
        scores: by image, where they are known.
    """
    dense, places, metric = tried.dense, tried.cells.places, tried.metric
    theirs = cells.get(against, {})
    others = tuple(entry for entry in cells if entry != against)
    pairs: dict[tuple[str, float], Paired | None] = {}
    for entry in others:
        for place in places:
            if (place == 1.0) != (entry in dense and against in dense):
                continue
            one, other = cells[entry].get(place, Cell()).values, theirs.get(place, Cell()).values
            if one and other:
                pairs[entry, place] = _paired(one, other, metric, alpha)
    tested = {at: pair.p for at, pair in pairs.items() if pair is not None and pair.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))

    def over_images(entry: str, place: float) -> Difference:
        sides = [scores.get((name, 1.0 if name in dense else place)) for name in (entry, against)]
        apart = None if sides[0] is None or sides[1] is None else paired_images(sides[0], sides[1])
        interval = None if apart is None else image_interval(apart, alpha)
        return Difference(pairs[entry, place], corrected.get((entry, place)), interval)

    return Differences(
        against=against,
        reference_ok=any(cell.values for cell in theirs.values()),
        entries=others,
        by_place={at: over_images(*at) for at in pairs},
        overall={
            entry: overall(cells[entry], theirs, own, metric, alpha)
            for entry in others
            if (own := tuple(place for place in places if pairs.get((entry, place)) is not None))
        },
        tested=len(tested),
        detectable=_detectable([pair for pair in pairs.values() if pair is not None], len(tested), alpha),
    )


def overall(
    ours: Mapping[float, Cell], theirs: Mapping[float, Cell], places: Sequence[float], metric: Metric, alpha: float
) -> Overall:
    """The difference of each seed's mean over some places."""
    one, other = (seed_scores([cells.get(place, Cell()).values for place in places]) for cells in (ours, theirs))
    return Overall(tuple(places), _paired(one, other, metric, alpha))


def _paired(a: Mapping[int, float], b: Mapping[int, float], metric: Metric, alpha: float) -> Paired | None:
    if not a.keys() & b.keys():
        return None
    return difference_within(paired(a, b, alpha), metric.low, metric.high)


def overall_in(group: Group, entry: str, against: str, places: Sequence[float], alpha: float) -> Overall:
    """The same of a group of other seeds, at the places that mean these; no pair where it lacks one of them."""
    found = [place for stated in places if (place := group.column(stated)) is not None]
    if len(found) < len(places):
        return Overall(tuple(found), None)
    ours, theirs = ({place: group.at(name, place) for place in found} for name in (entry, against))
    return overall(ours, theirs, found, group.metric, alpha)


def _detectable(pairs: Sequence[Paired], tests: int, alpha: float) -> Detectable | None:
    spreads = [(pair.n, pair.deviation) for pair in pairs if pair.deviation is not None]
    if not spreads:
        return None
    n = max(n for n, _ in spreads)
    typical = fmean(deviation**2 for pairs_of_it, deviation in spreads if pairs_of_it == n) ** 0.5
    if typical <= 0:
        return None
    return Detectable(
        pairs=n,
        single=detectable(typical, n, alpha),
        strictest=detectable(typical, n, alpha / tests) if tests > 1 else None,
        more={pairs: detectable(typical, pairs, alpha) for pairs in MORE_PAIRS if pairs > n},
    )
