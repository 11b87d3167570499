"""Whether the claims of a leaderboard hold on seeds that nobody has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import final_rows
from prunebench.api.rows import Row
from prunebench.results.manifest import check_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows
from prunebench.verification.rerun import Show, chosen_entries, rerun

Verdict = Literal["holds", "not contradicted", "contradicted"]


@dataclass(frozen=True)
class Claim:
    """One entry against the reference: the mean paired difference over their common densities, recorded and fresh."""

    entry: str
    against: str
    recorded: float
    recorded_interval: tuple[float, float] | None
    fresh: float
    fresh_interval: tuple[float, float] | None

    @property
    def verdict(self) -> Verdict:
        """A fresh interval that excludes zero decides; a recorded one that does not claims nothing."""
        if self.fresh_interval is None or self.recorded_interval is None:
            return "not contradicted"
        claimed = _sign(self.recorded_interval)
        found = _sign(self.fresh_interval)
        if claimed and found == -claimed:
            return "contradicted"
        return "holds" if claimed and found == claimed else "not contradicted"


def _sign(interval: tuple[float, float]) -> int:
    return 1 if interval[0] > 0 else -1 if interval[1] < 0 else 0


def verify_fresh(
    folder: Path, *, entries: str = "all", seeds: int | None = None, file: Path | None = None, show: Show
) -> list[Claim]:
    """Run entries on new seeds, as many as recorded unless stated, and compare each with the reference entry again.

    Raises:
        PrunebenchError: the files are not as recorded, or the leaderboard compares with no entry.
    """
    wrong = check_manifest(folder)
    if wrong:
        raise PrunebenchError(f"{folder}: {wrong[0]}")
    rows, provenance = read_rows(folder), read_provenance(folder)
    report = provenance.report
    against = report.against
    if against is None:
        raise PrunebenchError(f"{folder}: report.against names no entry, so there is no claim to hold on fresh seeds")
    names = chosen_entries(entries, rows, provenance)
    if against not in names:
        names = (against, *names)
    first = max(provenance.seeds) + 1
    unseen = range(first, first + (seeds or len(provenance.seeds)))
    outcome, _ = rerun(folder, provenance, names, list(unseen), file, show)
    return [
        claim_of(rows, outcome.rows, name, against, report.metric, report.alpha) for name in names if name != against
    ]


def claim_of(
    recorded: Sequence[Row],
    fresh: Sequence[Row],
    entry: str,
    against: str,
    metric: str,
    alpha: float,
) -> Claim:
    """One entry against the reference, on the recorded seeds and on fresh ones."""
    from prunebench.stats.student import paired

    sides = []
    for rows in (recorded, fresh):
        ours, theirs = _per_seed(rows, entry, against, metric)
        found = paired(ours, theirs, alpha)
        interval = None if found.low is None or found.high is None else (found.low, found.high)
        sides.append((found.difference, interval))
    return Claim(entry, against, *sides[0], *sides[1])


def _per_seed(rows: Sequence[Row], entry: str, against: str, metric: str) -> tuple[dict[int, float], dict[int, float]]:
    """Each seed's mean over the densities that both entries have; a dense entry counts at every density."""
    values: dict[str, dict[int, dict[float, list[float]]]] = {entry: {}, against: {}}
    for row in final_rows(rows, metric):
        if row.entry in values and row.value is not None and row.density is not None and row.outcome == "ok":
            seed = values[row.entry].setdefault(row.seed, {})
            seed.setdefault(round(row.density, 6), []).append(row.value)
    common = set.intersection(
        *({d for seed in side.values() for d in seed} for side in values.values() if not _dense(side))
    ) if any(not _dense(side) for side in values.values()) else {1.0}  # fmt: skip
    return _means(values[entry], common), _means(values[against], common)


def _dense(side: Mapping[int, Mapping[float, Sequence[float]]]) -> bool:
    return {d for seed in side.values() for d in seed} == {1.0}


def _means(side: Mapping[int, Mapping[float, Sequence[float]]], common: set[float]) -> dict[int, float]:
    means = {}
    for seed, densities in side.items():
        wanted = {1.0} if _dense(side) else common
        values = [sum(v) / len(v) for d, v in densities.items() if d in wanted]
        if values:
            means[seed] = sum(values) / len(values)
    return means
