"""The order of several entries, and the ranks that they share where none is told apart. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from prunebench.api.estimates import Compared, Paired
from prunebench.stats.student import holm, paired


@dataclass(frozen=True)
class Place:
    """An entry's rank, and the entry that it was tested against to find it; None for the first."""

    entry: str
    rank: int
    leader: str | None = None


def seed_scores(cells: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Each seed's mean over several cells, for the seeds that have a value in all of them; empty for no cell."""
    seeds = set.intersection(*(set(values) for values in cells)) if cells else set()
    return {seed: mean(values[seed] for values in cells) for seed in sorted(seeds)}


def merit(cells: Sequence[Mapping[int, float]], broken: int, higher: bool) -> tuple[int, float]:
    """What an order is by: trials that are not ok, then the mean over the cells' means, less being better.

    An entry that lacks a value in some cell has an infinite mean.
    """
    values = [tuple(cell.values()) for cell in cells]
    if not all(values):
        return broken, float("inf")
    score = mean(mean(seeds) for seeds in values)
    # rounding keeps equal means equal whatever the order of their summands was
    return broken, round(-score if higher else score, 12)


def comparisons(scores: Mapping[str, Mapping[int, float]], alpha: float) -> dict[tuple[str, str], Compared]:
    """Every pair (a, b) of entries as a - b of their scores, paired by seed, both ways round.

    Holm's correction is over all pairs: the order that picks neighbours comes from the same results. Pairs without a
    common seed are absent.
    """
    pairs = {
        (a, b): paired(scores[a], scores[b], alpha)
        for a, b in combinations(scores, 2)
        if scores[a].keys() & scores[b].keys()
    }
    corrected = corrected_ps(pairs)
    tested = {at: Compared(pair, corrected.get(at)) for at, pair in pairs.items()}
    return tested | {(b, a): Compared(_turned(one.pair), one.p) for (a, b), one in tested.items()}


def corrected_ps(pairs: Mapping[tuple[str, str], Paired]) -> dict[tuple[str, str], float]:
    """The p of each pair that has one, after Holm's correction over all of them."""
    raw = {at: pair.p for at, pair in pairs.items() if pair.p is not None}
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def shared_ranks(
    merits: Mapping[str, tuple[int, float]], tests: Mapping[tuple[str, str], Compared], higher: bool, alpha: float
) -> list[Place]:
    """Walk down the merits; an entry that is told apart from the first of the group above opens a group.

    Equals stand in the order given, and the result does not depend on anything else.

    Args:
        merits: as `merit` gives them, by entry.
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


def _turned(pair: Paired) -> Paired:
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    return Paired(-pair.difference, low, high, pair.p, pair.n, pair.deviation)
