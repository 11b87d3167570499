"""Run recorded results again in an empty store and compare them, number by number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench import runner
from prunebench.errors import PrunebenchError
from prunebench.leaderboard import read_provenance, read_rows
from prunebench.runner import Options, Prepared, Status

IDENTITY = ("entry", "model", "data", "seed", "round", "draw", "twin", "role", "position", "metric", "split")


@dataclass(frozen=True)
class Difference:
    """One row that does not agree; a side that has no such row is None."""

    recorded: Mapping[str, Any] | None
    again: Mapping[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    """What held."""

    compared: int
    differences: tuple[Difference, ...]
    same_environment: bool
    recorded_environment: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether every number is the same, bit for bit."""
        return not self.differences and self.compared > 0

    @property
    def verdict(self) -> str:
        """One sentence, and what it means where the environments differ."""
        if self.holds:
            return f"All {self.compared:,} numbers are the same, bit for bit."
        bad = f"{len(self.differences):,} of {self.compared:,} numbers differ."
        if self.same_environment:
            return bad + " The environment is the recorded one, so the recorded results do not come from this file."
        changed = ", ".join(
            f"{name} {self.recorded_environment.get(name)!r} -> {value!r}"
            for name, value in self.environment.items()
            if self.recorded_environment.get(name) != value
        )
        return bad + f" The environment differs ({changed}), and bits are only promised within one."

    def shown(self, limit: int = 40) -> list[tuple[str, ...]]:
        """Rows for a table: the first differences."""
        rows = []
        for difference in self.differences[:limit]:
            one = difference.recorded or difference.again or {}
            values = [
                "(none)" if side is None else f"{side['value']} {side['outcome']}"
                for side in (difference.recorded, difference.again)
            ]
            density = "" if one["density"] is None else f"{one['density']:.4f}"
            rows.append(
                (one["entry"], str(one["seed"]), density, f"{one['split']}/{one['metric']}", *values, "differs")
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "compared": self.compared,
            "differences": [[d.recorded, d.again] for d in self.differences],
            "same_environment": self.same_environment,
            "holds": self.holds,
        }


def verify(
    folder: Path,
    *,
    entries: tuple[str, ...] | None,
    seeds: int | None,
    file: Path | None,
    show: Callable[[Prepared, Status], Any],
) -> Comparison:
    """Run entries of a leaderboard again and compare.

    Args:
        entries: names, or None for all.
        seeds: how many of the recorded seeds, the first ones.
        file: the benchmark file; the recorded one if None.
        show: given the plan, returns a display of its progress.
    Raises:
        PrunebenchError: not a leaderboard, or the file is gone.
    """
    recorded, provenance = read_rows(folder), read_provenance(folder)
    source = file or Path(provenance["file"])
    if not source.is_file():
        raise PrunebenchError(f"{folder}: it was made from {source}, which is not here; give --file")
    chosen = tuple(provenance["seeds"][:seeds])
    names = tuple(provenance["entries"]) if entries is None else entries
    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as scratch:
        options = Options(
            source,
            provenance["profile"],
            chosen,
            names,
            tuple(provenance["settings"]),
            Path(scratch) / "store",
        )
        prepared = runner.prepare(options)
        store = prepared.open_store()
        display = show(prepared, runner.status(prepared, store))
        try:
            again = runner.run(prepared, display).rows
        finally:
            display.close()
        wanted = [r for r in recorded if r["entry"] in names and r["seed"] in chosen]
        same = dict(provenance["environment"]) == dict(store.environment.fields)
        return compare(wanted, again, provenance["environment"], dict(store.environment.fields), same)


def compare(
    recorded: list[dict[str, Any]],
    again: list[dict[str, Any]],
    recorded_environment: Mapping[str, Any],
    environment: Mapping[str, Any],
    same: bool,
) -> Comparison:
    """Match rows by what they measure, and compare them whole."""
    before = {tuple(row[name] for name in IDENTITY): row for row in recorded}
    after = {tuple(row[name] for name in IDENTITY): row for row in again}
    differences = [
        Difference(before.get(place), after.get(place))
        for place in {**before, **after}
        if before.get(place) != after.get(place)
    ]
    return Comparison(len(before), tuple(differences), same, recorded_environment, environment)
