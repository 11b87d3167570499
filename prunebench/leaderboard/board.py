"""A leaderboard's folder: results, provenance, page and curves, with equal bytes for equal input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebench.leaderboard.cells import group_rows
from prunebench.leaderboard.curves import draw_curves
from prunebench.leaderboard.provenance import write_provenance
from prunebench.leaderboard.readme import CURVES, page
from prunebench.leaderboard.rows import Row, write_rows


def write_leaderboard(
    folder: Path,
    rows: Sequence[Row],
    *,
    name: str,
    claim: str,
    metric: str = "test/accuracy",
    against: str | None,
    alpha: float = 0.05,
    entries: Sequence[str],
    notes: Sequence[str],
    provenance: Mapping[str, Any],
    expectations: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write `results.jsonl`, `provenance.json`, `README.md` and `curves.svg` into a folder, made if absent.

    Args:
        rows: the measurements, one dict each, as in `results.jsonl`; written in this order.
        metric: what is ranked and drawn, "split/name".
        against: the entry that the others are compared with; None for no comparison.
        alpha: intervals have level 1 - alpha; differences are bold where Holm's p is below alpha.
        entries: the entries' names in the order of the file.
        notes: what was reduced or is special, a sentence each.
        provenance: seeds, wall_seconds, hardware, environment, prunebench, components, profile, file, finished,
            runs (naive, distinct), steps.
        expectations: published results, as in `[[expect]]`; not judged under a profile.
    Raises: PrunebenchError if a row is damaged, no evaluation has the metric, or two rows contradict each other.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder, rows)
    write_provenance(folder, provenance)
    groups = group_rows(rows, metric, entries)
    text = page(
        rows,
        groups,
        name=name,
        claim=claim,
        metric=metric,
        against=against,
        alpha=alpha,
        entries=entries,
        notes=notes,
        provenance=provenance,
        expectations=expectations,
    )
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    (folder / CURVES).write_text(draw_curves(groups, metric, alpha), encoding="utf-8", newline="\n")
