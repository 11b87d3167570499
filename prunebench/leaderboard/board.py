"""A leaderboard's folder: results, provenance, page and curves, with equal bytes for equal input."""

from __future__ import annotations

from pathlib import Path

from prunebench.leaderboard.cells import group_rows
from prunebench.leaderboard.curves import draw_curves
from prunebench.leaderboard.details import write_details
from prunebench.leaderboard.provenance import write_provenance
from prunebench.leaderboard.readme import CURVES, page
from prunebench.leaderboard.rows import write_rows
from prunebench.types import Results


def write_leaderboard(folder: Path, results: Results) -> None:
    """Write `results.jsonl`, `details.jsonl`, `provenance.json`, `README.md` and `curves.svg` into a folder.

    Args:
        results: rows in the order to be written. `provenance["report"]` says what to rank and tell: `name`, `claim`,
            `metric` ("split/name"), `against` (the entry that the others are compared with, or None), `alpha`,
            `notes` (what was reduced or is special, a sentence each) and `expectations` (as in `[[expect]]`).
    Raises: PrunebenchError if a row is damaged, no evaluation has the metric, or two rows contradict each other.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows, provenance = results.rows, results.provenance
    told, entries = provenance["report"], provenance["entries"]
    write_rows(folder, rows)
    write_details(folder, results.details)
    write_provenance(folder, provenance)
    groups = group_rows(rows, told["metric"], entries)
    text = page(rows, groups, entries=entries, provenance=provenance, **told)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    drawn = draw_curves(groups, told["metric"], told["alpha"])
    (folder / CURVES).write_text(drawn, encoding="utf-8", newline="\n")
