"""The order of a table, and the sentence that says how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.metrics import Metric


@dataclass(frozen=True)
class Place:
    """An entry's rank, equal for equals; None if no density is shared."""

    entry: str
    rank: int | None


def shared_densities(group: Group) -> tuple[float, ...]:
    """The densities below 1 that every ranked entry was tried at, whatever came of it."""
    return tuple(d for d in group.densities if d < 1 and all(group.at(e, d).trials for e in group.ranked))


def ranking(group: Group, metric: Metric) -> list[Place]:
    """The ranked entries, best first; equals in file order. It does not depend on the order of the rows."""
    shared = shared_densities(group)
    if not shared:
        return [Place(entry, None) for entry in group.ranked]

    def merit(entry: str) -> tuple[int, float]:
        cells = [group.at(entry, density) for density in group.densities]
        broken = sum(len(cell.broken) for cell in cells)
        values = [tuple(group.at(entry, density).values.values()) for density in shared]
        if not all(values):
            return broken, float("inf")
        score = mean(mean(seeds) for seeds in values)
        # rounding keeps equal means equal whatever the order of their summands was
        return broken, round(-score if metric.higher else score, 12)

    merits = {entry: merit(entry) for entry in group.ranked}
    order = sorted(group.ranked, key=merits.__getitem__)
    return [Place(entry, 1 + sum(merits[other] < merits[entry] for other in order)) for entry in order]


def rule(group: Group, metric: Metric) -> str:
    """The ranking rule in words, with the densities that it used."""
    shared = shared_densities(group)
    if not group.ranked:
        return "No rank: only dense networks were evaluated."
    if not shared:
        return "No rank: there is no density below 100 % at which every entry was tried."
    listed = ", ".join(group.labels[density] for density in shared)
    return (
        f"Rank: mean of {metric.name} over the densities below 100 % that all ranked entries share ({listed}), "
        f"{'highest' if metric.higher else 'lowest'} first; equal means share a rank. An entry with trials that are "
        "not ok ranks below every entry without any, and above one with more, whatever its mean over ok trials is. "
        "A rank orders means; whether they differ is for the next table to say."
    )
