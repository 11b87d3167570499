"""A leaderboard's folder: results, provenance, page, tables and pictures, with equal bytes for equal input."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.board import Board
from prunebench.api.report import draw_curves
from prunebench.api.results import Results
from prunebench.leaderboard.ranks import draw_ranks
from prunebench.leaderboard.readme import CURVES, RANKS, page
from prunebench.leaderboard.records import write_records
from prunebench.leaderboard.tex import TEX, tex_tables
from prunebench.results.details import write_details
from prunebench.results.provenance import write_provenance
from prunebench.results.rows import write_rows


def write_leaderboard(folder: Path, results: Results, board: Board) -> None:
    """Write a leaderboard's files into a folder.

    `results.jsonl`, `details.jsonl` and `provenance.json` hold it whole; `README.md`, `curves.svg`, `ranks.svg` (where
    there are enough models and data sets), `table.tex`, `results.csv` and `results.parquet` are made from these.

    Args:
        results: rows in the order to be written.
        board: of these results.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder, results.rows)
    write_details(folder, results.details)
    write_provenance(folder, results.provenance)
    write_records(folder, results.rows)
    _write(folder / "README.md", page(board))
    _write(folder / TEX, tex_tables(board))
    _write(folder / CURVES, draw_curves(board))
    if board.blocks.critical is None:
        # one of an earlier report with more models would belong to other numbers
        (folder / RANKS).unlink(missing_ok=True)
    else:
        _write(folder / RANKS, draw_ranks(board.blocks))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
