"""Whether the claims of a leaderboard hold on seeds that nobody has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from prunebench.api.board import Board, Group
from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Paired
from prunebench.leaderboard import board_of
from prunebench.leaderboard.differences import overall_in
from prunebench.results.folder import read_results
from prunebench.verification.audit import audit, contradictions
from prunebench.verification.rerun import Show, chosen_entries, planned, rerun
from prunebench.verification.source import benchmark_file

Verdict = Literal["holds", "not contradicted", "contradicted"]


@dataclass(frozen=True)
class Claim:
    """One entry against the reference on one model and data, over all places at which the board compares them.

    Args:
        places: these, on the report's axis.
        recorded: the board's difference, paired by seed, in the metric's stored unit; `fresh`: the same of fresh
            seeds, at the same places. None where no seed has a value of both entries at all of them.
    """

    model: str
    data: str
    entry: str
    against: str
    places: tuple[float, ...]
    recorded: Paired | None
    fresh: Paired | None

    @property
    def verdict(self) -> Verdict:
        """A fresh interval that excludes zero decides; a recorded one that does not claims nothing."""
        claimed, found = _sign(self.recorded), _sign(self.fresh)
        if claimed and found == -claimed:
            return "contradicted"
        return "holds" if claimed and found == claimed else "not contradicted"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "model": self.model,
            "data": self.data,
            "entry": self.entry,
            "against": self.against,
            "places": list(self.places),
            **_json("recorded", self.recorded),
            **_json("fresh", self.fresh),
            "verdict": self.verdict,
        }


def _sign(pair: Paired | None) -> int:
    """1 or -1 where the interval excludes zero."""
    ends = None if pair is None else pair.ends
    return 0 if ends is None else 1 if ends[0] > 0 else -1 if ends[1] < 0 else 0


def _json(name: str, pair: Paired | None) -> dict[str, Any]:
    difference, ends = (None, None) if pair is None else (pair.difference, pair.ends)
    return {name: difference, f"{name}_interval": None if ends is None else list(ends)}


def verify_fresh(
    folder: Path, *, entries: str = "all", seeds: int | None = None, file: Path | None = None, show: Show
) -> list[Claim]:
    """Run entries on new seeds, as many as recorded unless stated, and compare each with the reference entry again.

    Raises:
        PrunebenchError: the files are not as recorded, or the leaderboard compares with no entry.
    """
    results = read_results(folder)
    provenance, recorded = results.provenance, board_of(results)
    source = benchmark_file(folder, provenance, file)
    with tempfile.TemporaryDirectory(prefix="prunebench-plan-") as scratch:
        found = list(contradictions(results)) or list(
            audit(folder, results, planned(source, provenance, Path(scratch) / "store")).findings
        )
    if found:
        raise PrunebenchError("\n".join([f"{folder}: it does not hold as it stands:", *(f"- {one}" for one in found)]))
    against = recorded.against
    if against is None:
        raise PrunebenchError(f"{folder}: report.against names no entry, so there is no claim to hold on fresh seeds")
    names = chosen_entries(entries, recorded)
    if against not in names:
        names = (against, *names)
    first = max(provenance.seeds) + 1
    unseen = range(first, first + (seeds or len(provenance.seeds)))
    again = rerun(source, provenance, [(name, seed) for name in names for seed in unseen], show)
    fresh = board_of(replace(results, rows=again.rows, details=()))
    return list(claims(recorded, fresh, names))


def claims(recorded: Board, fresh: Board, entries: Collection[str]) -> Iterator[Claim]:
    """Every difference that a board shows, of these entries, with the same difference on another board's seeds."""
    others = {(group.model, group.data): group for group in fresh.groups}
    for group in recorded.groups:
        other = others.get((group.model, group.data))
        yield from (claim for claim in _claims(group, other, recorded.alpha) if claim.entry in entries)


def _claims(group: Group, other: Group | None, alpha: float) -> Iterator[Claim]:
    differences = group.differences
    if differences is None:
        return
    for entry, overall in differences.overall.items():
        found = None
        if other is not None:
            found = overall_in(other, entry, differences.against, overall.places, alpha).pair
        yield Claim(group.model, group.data, entry, differences.against, overall.places, overall.pair, found)
