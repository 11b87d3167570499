"""A leaderboard's folder: results, provenance, page, tables and pictures, with equal bytes for equal input."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.results import Results
from prunebench.leaderboard.axis import placed
from prunebench.leaderboard.blocks import blocks_of
from prunebench.leaderboard.cells import group_rows
from prunebench.leaderboard.curves import draw_curves
from prunebench.leaderboard.ranks import draw_ranks
from prunebench.leaderboard.readme import CURVES, RANKS, page
from prunebench.leaderboard.records import write_records
from prunebench.leaderboard.tex import TEX, tex_tables
from prunebench.leaderboard.untyped import untyped
from prunebench.results.details import write_details
from prunebench.results.provenance import write_provenance
from prunebench.results.rows import write_rows


def write_leaderboard(folder: Path, results: Results) -> None:
    """Write a leaderboard's files into a folder.

    `results.jsonl`, `details.jsonl` and `provenance.json` hold it whole; `README.md`, `curves.svg`, `ranks.svg` (where
    there are enough models and data sets), `table.tex`, `results.csv` and `results.parquet` are made from these.

    Args:
        results: rows in the order to be written. `provenance["report"]` says what to rank and tell: `name`, `claim`,
            `metric` ("split/name"), `against` (the entry that the others are compared with, or None), `alpha`,
            `notes` (what was reduced or is special, a sentence each) and `expectations` (as in `[[expect]]`).
    Raises: PrunebenchError if a row is damaged, no evaluation has the metric, or two rows contradict each other.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    told = results.provenance.report
    metric, alpha = told.metric, told.alpha
    write_rows(folder, results.rows)
    write_details(folder, results.details)
    write_provenance(folder, results.provenance)
    recorded = untyped(results)
    write_records(folder, recorded.rows)
    ranked = placed(recorded)
    groups = group_rows(ranked.rows, metric, results.provenance.entries)
    blocks = blocks_of(groups, metric, alpha)
    _write(folder / "README.md", page(ranked, groups, blocks))
    _write(folder / TEX, tex_tables(groups, metric, alpha))
    _write(folder / CURVES, draw_curves(groups, metric, alpha))
    if blocks.critical is None:
        # one of an earlier report with more models would belong to other numbers
        (folder / RANKS).unlink(missing_ok=True)
    else:
        _write(folder / RANKS, draw_ranks(blocks))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
