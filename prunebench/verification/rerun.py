"""Run recorded results again in an empty store and compare them: bit for bit, or within the registered tolerance."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebench import runner
from prunebench.api import keys
from prunebench.api.board import Board, Group
from prunebench.api.details import Detail
from prunebench.api.errors import ConfigError, nearest
from prunebench.api.provenance import Provenance
from prunebench.api.results import final_rows
from prunebench.api.rows import Row
from prunebench.kernels.hardware import hardware
from prunebench.leaderboard import board_of
from prunebench.results.folder import read_results
from prunebench.results.manifest import VERIFICATION as RECORD
from prunebench.results.manifest import check_manifest
from prunebench.results.merge import detail_identity
from prunebench.results.tolerance import tolerance_of
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.running import Outcome
from prunebench.runner.work_left import Status
from prunebench.verification.source import benchmark_file

Show = Callable[[Prepared, Status], Any]


@dataclass(frozen=True)
class Difference:
    """One row that does not agree; a side that has no such row is None."""

    recorded: Row | None
    again: Row | None
    passes: bool = False
    """Whether it lies within the registered tolerance, or is not a number that the leaderboard is judged by."""


@dataclass(frozen=True)
class Comparison:
    """What held of a leaderboard."""

    compared: int = 0
    differences: tuple[Difference, ...] = ()
    details_differ: int = 0
    same_environment: bool = True
    recorded_environment: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    allowed: float | None = None
    manifest: tuple[str, ...] = ()
    """What differs from the manifest; nothing was run again if anything does."""

    @property
    def failures(self) -> tuple[Difference, ...]:
        """The differences that nothing excuses."""
        return tuple(d for d in self.differences if not d.passes)

    @property
    def holds(self) -> bool:
        """Every bit in the recorded environment; every judged number within the tolerance in another."""
        exact = not self.same_environment or not self.details_differ
        return not self.manifest and self.compared > 0 and not self.failures and exact

    @property
    def verdict(self) -> str:
        """One or two sentences for a person."""
        if self.manifest:
            return "The files are not as they were recorded: " + "; ".join(self.manifest) + ". Nothing was run again."
        if not self.compared:
            return "Nothing was compared."
        bad = f"{len(self.failures):,} of {self.compared:,} numbers differ."
        if self.same_environment:
            if self.holds:
                return f"It holds: all {self.compared:,} numbers are the same, bit for bit."
            if not self.failures:
                return f"It does not hold: the numbers are the same, but {self.details_differ} curves or masks are not."
            return (
                f"It does not hold: {bad} The environment is the recorded one, so these results do not come from this "
                "file and this version."
            )
        changed = ", ".join(
            f"{name} {self.recorded_environment.get(name)!r} -> {value!r}"
            for name, value in self.environment.items()
            if self.recorded_environment.get(name) != value
        )
        where = f"The environment differs ({changed}), so {self.metric} is held against the registered tolerance"
        if self.allowed is None:
            return f"It is open: {bad} The environment differs ({changed}), and one seed registers no tolerance."
        if self.holds:
            moved = sum(d.passes for d in self.differences)
            return (
                f"It holds: {where} of {self.allowed:.4f}; {moved:,} of {self.compared:,} numbers moved, all within it."
            )
        return f"It does not hold: {where} of {self.allowed:.4f}, and {len(self.failures):,} numbers are outside."

    def shown(self, limit: int = 40) -> list[tuple[str, ...]]:
        """Rows for a table: the first failures."""
        rows = []
        for difference in self.failures[:limit]:
            row = difference.recorded or difference.again
            if row is None:
                continue
            values = [
                "(none)" if side is None else f"{side.value} {side.outcome}"
                for side in (difference.recorded, difference.again)
            ]
            density = "" if row.density is None else f"{row.density:.4f}"
            rows.append((row.entry, str(row.seed), density, row.name, *values))
        return rows

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "holds": self.holds,
            "verdict": self.verdict,
            "compared": self.compared,
            "failures": [
                [None if side is None else side.to_json() for side in (d.recorded, d.again)] for d in self.failures
            ],
            "moved": len(self.differences),
            "same_environment": self.same_environment,
            "allowed": self.allowed,
            "manifest": list(self.manifest),
        }


def verify(
    folder: Path, *, entries: str = "all", seeds: int | None = None, file: Path | None = None, show: Show
) -> Comparison:
    """Check the manifest, then run entries of a leaderboard again and compare.

    Args:
        entries: "all", "top3" (the three best of each table), or names with commas between.
        seeds: how many of the recorded seeds, the first ones.
        file: the benchmark file; the recorded one if None.
        show: given the plan, returns a display of its progress.
    Raises:
        PrunebenchError: not a leaderboard, or the file is gone.
    """
    wrong = check_manifest(folder)
    if wrong:
        return Comparison(manifest=tuple(wrong))
    results = read_results(folder)
    recorded, details, provenance = results.rows, results.details, results.provenance
    names = chosen_entries(entries, board_of(results))
    chosen = provenance.seeds[:seeds]
    outcome, environment = rerun(folder, provenance, names, chosen, file, show)
    metric = provenance.report.metric
    return compare(
        [row for row in recorded if row.entry in names and row.seed in chosen],
        outcome.rows,
        provenance.environment,
        environment,
        metric=metric,
        allowed=tolerance_of(recorded, details, metric).allowed,
        details=(
            [line for line in details if line.entry in names and line.seed in chosen],
            outcome.details,
        ),
    )


def chosen_entries(entries: str, board: Board) -> tuple[str, ...]:
    """The entries that "all", "top3" or a list of names mean, in the order of the file or of the list.

    "top3" are the first three of each table, as it orders them; all of a table without an order.

    Raises: ConfigError for a name that is not there.
    """
    known = board.provenance.entries
    if entries == "all":
        return known
    if entries == "top3":
        best = {name for group in board.groups for name in _first(group, 3)}
        return tuple(name for name in known if name in best)
    names = tuple(entries.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError([f'--entries: no entry "{name}" here.{nearest(name, known)}' for name in unknown])
    return names


def _first(group: Group, count: int) -> Sequence[str]:
    return group.order[:count] if group.shared else group.order


def rerun(
    folder: Path,
    provenance: Provenance,
    entries: Sequence[str],
    seeds: Sequence[int],
    file: Path | None,
    show: Show,
) -> tuple[Outcome, dict[str, Any]]:
    """Run entries of a leaderboard's file in an empty store; the outcome and the environment."""
    source = benchmark_file(folder, provenance, file)
    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as scratch:
        options = Options(
            source, provenance.profile, tuple(seeds), tuple(entries), provenance.settings, Path(scratch) / "store"
        )
        prepared = runner.prepare(options)
        store = prepared.open_store()
        numbers = runner.status(prepared, store)
        display = show(prepared, numbers)
        try:
            return runner.run(prepared, display, before=numbers), dict(store.environment.fields)
        finally:
            display.close()


def compare(
    recorded: Sequence[Row],
    again: Sequence[Row],
    recorded_environment: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    metric: str = "test/accuracy",
    allowed: float | None = None,
    details: tuple[Sequence[Detail], Sequence[Detail]] = ((), ()),
) -> Comparison:
    """Match rows by what they measure, and compare them: whole in one environment, by the tolerance in another."""
    same = dict(recorded_environment) == dict(environment)
    before = {row.identity: row for row in recorded}
    after = {row.identity: row for row in again}
    judged = {row.identity for row in final_rows(recorded, metric)}
    differences = []
    for place in {**before, **after}:
        a, b = before.get(place), after.get(place)
        if _differ(a, b):
            timed = a is not None and b is not None and not a.exact and not b.exact
            within = not same and _within(a, b, place in judged, allowed)
            differences.append(Difference(a, b, timed or within))
    old, new = ({detail_identity(line): keys.digest(line.to_json()) for line in side} for side in details)
    unlike = sum(old.get(place) != new.get(place) for place in {**old, **new})
    return Comparison(len(before), tuple(differences), unlike, same, recorded_environment, environment, metric, allowed)


def _differ(recorded: Row | None, again: Row | None) -> bool:
    """Whether two rows disagree in anything that was recorded; fields that came with a later version are not held."""
    if recorded is None or again is None:
        return True
    return any(getattr(recorded, name) != getattr(again, name) for name in recorded.model_fields_set)


def _within(recorded: Row | None, again: Row | None, judged: bool, allowed: float | None) -> bool:
    """Whether a difference between environments passes: same density and outcome, and a judged value near enough."""
    if recorded is None or again is None:
        # Where early stopping stops is a position, and positions place rows: another one is another row.
        row = recorded or again
        return row is not None and row.metric.startswith("early_stop_")
    if recorded.density != again.density or recorded.outcome != again.outcome:
        return False
    if not judged:
        return True
    if allowed is None or recorded.value is None or again.value is None:
        return False
    return abs(recorded.value - again.value) <= allowed


def record(folder: Path, comparison: Comparison, entries: str, seeds: int | None) -> None:
    """Note on a leaderboard that it was executed again, when and where; its page shows the tier from then on."""
    recorded = read_results(folder)
    results = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]["results.jsonl"]
    noted = {
        "tier": "re-executed",
        "when": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": hardware(),
        "environment": dict(comparison.environment),
        "bit_equal": comparison.same_environment,
        "entries": list(chosen_entries(entries, board_of(recorded))),
        "seeds": list(recorded.provenance.seeds[:seeds]),
        "numbers": comparison.compared,
        "results": results,
    }
    text = json.dumps(noted, indent=2, sort_keys=True) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8", newline="\n")
    runner.report_again(folder)
