"""The order of a table, the ranks that its entries share, and the rule that says how they came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from prunebench.leaderboard.cells import AXES, Group
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import Metric
from prunebench.stats.student import Paired, holm, paired


@dataclass(frozen=True)
class Place:
    """An entry's rank; None if no density is shared.

    Args:
        leader: the entry that it was tested against to find its rank; None for the first of the table.
    """

    entry: str
    rank: int | None
    leader: str | None = None


@dataclass(frozen=True)
class Compared:
    """A paired difference of two entries and its p after Holm's correction; None where one seed gives no test."""

    pair: Paired
    p: float | None


def shared_densities(group: Group) -> tuple[float, ...]:
    """The densities below 1 that every ranked entry was tried at, whatever came of it."""
    return tuple(d for d in group.densities if d < 1 and all(group.at(e, d).trials for e in group.ranked))


def seed_scores(group: Group, entry: str, densities: Sequence[float]) -> dict[int, float]:
    """Each seed's mean over the densities, for the seeds that have a value at all of them."""
    cells = [group.at(entry, density).values for density in densities]
    seeds = set.intersection(*(set(values) for values in cells)) if cells else set()
    return {seed: mean(values[seed] for values in cells) for seed in sorted(seeds)}


def comparisons(group: Group, alpha: float) -> dict[tuple[str, str], Compared]:
    """Every pair (a, b) of ranked entries as a - b of their scores, both ways round.

    Holm's correction is over all pairs: the order that picks neighbours comes from the same results. Pairs without a
    common seed are absent.
    """
    shared = shared_densities(group)
    scores = {entry: seed_scores(group, entry, shared) for entry in group.ranked}
    pairs = {
        (a, b): paired(scores[a], scores[b], alpha)
        for a, b in combinations(group.ranked, 2)
        if scores[a].keys() & scores[b].keys()
    }
    raw = {at: pair.p for at, pair in pairs.items() if pair.p is not None}
    corrected = dict(zip(raw, holm(list(raw.values())), strict=True))
    tested = {at: Compared(pair, corrected.get(at)) for at, pair in pairs.items()}
    return tested | {(b, a): Compared(_turned(one.pair), one.p) for (a, b), one in tested.items()}


def ranking(group: Group, metric: Metric, alpha: float = 0.05) -> list[Place]:
    """The ranked entries, best mean first, equals in file order; entries that cannot be told apart share a rank.

    It does not depend on the order of the rows.
    """
    if not shared_densities(group):
        return [Place(entry, None) for entry in group.ranked]
    return shared_ranks(_merits(group, metric), comparisons(group, alpha), metric.higher, alpha)


def shared_ranks(
    merits: Mapping[str, tuple[int, float]], tests: Mapping[tuple[str, str], Compared], higher: bool, alpha: float
) -> list[Place]:
    """Walk down the merits; an entry that is told apart from the first of the group above opens a group.

    Args:
        merits: (trials that are not ok, mean with less as better) by entry, in file order.
        tests: as `comparisons` gives them.
    """
    order = sorted(merits, key=merits.__getitem__)
    places: list[Place] = []
    leader, rank = "", 1
    for number, entry in enumerate(order, start=1):
        before = leader or None
        if not leader:
            leader = entry
        elif merits[entry][0] != merits[leader][0] or _worse(tests.get((entry, leader)), higher, alpha):
            leader, rank = entry, number
        places.append(Place(entry, rank, before))
    return places


def _worse(tested: Compared | None, higher: bool, alpha: float) -> bool:
    if tested is None or tested.p is None or tested.p >= alpha:
        return False
    return (tested.pair.difference < 0) == higher


def _merits(group: Group, metric: Metric) -> dict[str, tuple[int, float]]:
    return {entry: merit(group, entry, metric) for entry in group.ranked}


def merit(group: Group, entry: str, metric: Metric) -> tuple[int, float]:
    """What the order is by: trials that are not ok, then the mean over the shared densities, less being better."""
    broken = sum(len(group.at(entry, density).broken) for density in group.densities)
    values = [tuple(group.at(entry, density).values.values()) for density in shared_densities(group)]
    if not all(values):
        return broken, float("inf")
    score = mean(mean(seeds) for seeds in values)
    # rounding keeps equal means equal whatever the order of their summands was
    return broken, round(-score if metric.higher else score, 12)


def _turned(pair: Paired) -> Paired:
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    return Paired(-pair.difference, low, high, pair.p, pair.n, pair.deviation)


def rule(group: Group, metric: Metric, alpha: float = 0.05) -> str:
    """The ranking rule in words, with the densities and the number of tests that it used."""
    shared = shared_densities(group)
    if not group.ranked:
        return "No rank: only dense networks were evaluated."
    if not shared:
        return "No rank: there is no density below 100 % at which every entry was tried."
    listed = ", ".join(group.labels[density] for density in shared)
    places = "densities" if group.axis == AXES["density"] else "places"
    told = [
        f"Order: mean of {escape(metric.name)} over the {places} below 100 % that all ranked entries share "
        f"({listed}), {'highest' if metric.higher else 'lowest'} first; an entry with trials that are not ok stands "
        "below every entry without any, and above one with more, whatever its mean over ok trials is."
    ]
    if len(group.ranked) > 1:
        tests = sum(one.p is not None for one in comparisons(group, alpha).values()) // 2
        told.append(
            "Rank: entries that cannot be told apart share one. Walking down, an entry joins the group above it unless "
            "it has more trials that are not ok, or its difference to the first of that group, paired by seed, is "
            f"significant: p below {alpha:g} after Holm's correction over all {tests} testable pairs of ranked entries."
        )
        if not tests:
            told.append(
                "Nothing could be tested here: no two entries have two seeds in common, and the order proves nothing."
            )
    return "\n\n".join(told)
