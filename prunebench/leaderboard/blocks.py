"""Several models and data sets in one file: mean ranks, Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import mean

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import metric_of
from prunebench.leaderboard.ranking import merit, shared_densities

LEAST_BLOCKS = 5
LEAST_ENTRIES = 3


@dataclass(frozen=True)
class Blocks:
    """Entries ranked in each of several blocks.

    Args:
        names: the blocks, (model, data).
        mean_ranks: by entry, 1 being best; empty if fewer than two entries are in all blocks.
        statistic: Friedman's chi-square; None if there are too few entries or blocks for it.
        p: of Friedman's test.
        critical: mean ranks further apart than this differ at the level asked for (Nemenyi); None without a test.
        why: why there is no test; empty if there is one.
    """

    names: tuple[tuple[str, str], ...]
    mean_ranks: dict[str, float]
    statistic: float | None
    p: float | None
    critical: float | None
    why: str


def critical_difference(entries: int, blocks: int, alpha: float) -> float:
    """Nemenyi's critical difference of mean ranks. Source: Demšar 2006, equation in section 3.2.2."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, entries, inf)) / sqrt(2)
    return q * sqrt(entries * (entries + 1) / (6 * blocks))


def blocks_of(groups: Sequence[Group], metric: str, alpha: float) -> Blocks:
    """Mean ranks over the model x data pairs that have any; a block's value is a mean over its seeds and densities.

    Seeds are not blocks of their own: on one model and data they are no independent evidence of a method.
    Source: Friedman 1937; Demšar 2006.
    """
    used = [group for group in groups if shared_densities(group)]
    entries = [e for e in dict.fromkeys(e for g in used for e in g.ranked) if all(e in g.ranked for g in used)]
    names = tuple((group.model, group.data) for group in used)
    if len(entries) < 2 or not used:
        return Blocks(names, {}, None, None, None, "fewer than two entries were ranked in every block")
    ranks = [_ranks(group, entries, metric) for group in used]
    means = {entry: mean(block[place] for block in ranks) for place, entry in enumerate(entries)}
    ordered = dict(sorted(means.items(), key=lambda item: item[1]))
    if len(entries) < LEAST_ENTRIES or len(used) < LEAST_BLOCKS:
        return Blocks(names, ordered, None, None, None, _too_few(len(entries), len(used)))
    if all(len(set(block)) == 1 for block in ranks):
        return Blocks(names, ordered, None, None, None, "all entries are equal in every block")
    from scipy.stats import friedmanchisquare

    test = friedmanchisquare(*zip(*ranks, strict=True))
    critical = critical_difference(len(entries), len(used), alpha)
    return Blocks(names, ordered, float(test.statistic), float(test.pvalue), critical, "")


def _too_few(entries: int, blocks: int) -> str:
    return (
        f"too few: {entries} entries in {blocks} blocks, and Friedman's test is "
        f"used from {LEAST_ENTRIES} entries and {LEAST_BLOCKS} blocks on"
    )


def _ranks(group: Group, entries: Sequence[str], metric: str) -> list[float]:
    """1 for the best; equals share the mean of their ranks."""
    measured = metric_of(metric, group.unit)
    merits = [merit(group, entry, measured) for entry in entries]
    return [sum(other < own for other in merits) + (merits.count(own) + 1) / 2 for own in merits]


def blocks_text(blocks: Blocks, alpha: float, picture: str) -> str:
    """Mean ranks, the test and what it means; or why there is no test."""
    if not blocks.mean_ranks:
        return f"No mean ranks: {blocks.why}."
    if len(blocks.names) == 1:
        return "No mean ranks: there is one model on one data set, and its table above has the ranks."
    parts = [
        f"Mean rank over {len(blocks.names)} blocks (model x data), 1 being best and equals "
        "sharing the mean of their ranks; entries that are not in every block are left out.",
        table(["entry", "mean rank"], [[escape(e), f"{rank:.2f}"] for e, rank in blocks.mean_ranks.items()], "lr"),
    ]
    if blocks.p is None or blocks.critical is None:
        return "\n\n".join([*parts, f"No test: {blocks.why}."])
    p = "p<0.001" if blocks.p < 0.001 else f"p={blocks.p:.3f}"
    verdict = "the entries differ" if blocks.p < alpha else "no difference between the entries is shown"
    parts.append(
        f"Friedman's test: chi-square {blocks.statistic:.2f} with {len(blocks.mean_ranks) - 1} degrees of freedom, "
        f"{p}: {verdict} at level {alpha:g}. Critical difference of mean ranks (Nemenyi): {blocks.critical:.2f}; "
        "entries under one bar are not told apart by it."
    )
    return "\n\n".join([*parts, f"![mean ranks with the critical difference]({picture})"])
