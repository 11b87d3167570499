"""Text and pictures of a board, for report plugins as for the leaderboard itself. They print, and compute nothing.

`escape`, `plain` and `table` make Markdown that no name can break; `results_table` and `draw_curves` are what a page
opens with, of whatever board they are given. Importing this costs no matplotlib.
"""

from prunebench.api.report.curves import draw_curves, literal, printed
from prunebench.api.report.numbers import (
    FEW,
    NOTHING,
    around,
    between_text,
    compared_text,
    cut_off_text,
    difference_text,
    draws_text,
    gap_lines,
    gap_texts,
    interval_text,
    level,
    nowhere_text,
    outcome_note,
    p_note,
    p_text,
    seeds_text,
    share_text,
    value_text,
)
from prunebench.api.report.records import RECORD_COLUMNS, board_records
from prunebench.api.report.tables import corner, name_of, results_table, rule
from prunebench.api.report.text import display_width, escape, percent_labels, plain, table

__all__ = [
    "FEW",
    "NOTHING",
    "RECORD_COLUMNS",
    "around",
    "between_text",
    "board_records",
    "compared_text",
    "corner",
    "cut_off_text",
    "difference_text",
    "display_width",
    "draw_curves",
    "draws_text",
    "escape",
    "gap_lines",
    "gap_texts",
    "interval_text",
    "level",
    "literal",
    "name_of",
    "nowhere_text",
    "outcome_note",
    "p_note",
    "p_text",
    "percent_labels",
    "plain",
    "printed",
    "results_table",
    "rule",
    "seeds_text",
    "share_text",
    "table",
    "value_text",
]
