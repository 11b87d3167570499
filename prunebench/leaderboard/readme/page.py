"""The page of a leaderboard, in the order of a sceptic's questions."""

from __future__ import annotations

from prunebench.api.board import Board, Group
from prunebench.api.report import escape, level, results_table
from prunebench.leaderboard import judgements
from prunebench.leaderboard.facts import title_of
from prunebench.leaderboard.readme.area import area_table
from prunebench.leaderboard.readme.blocks import blocks_text
from prunebench.leaderboard.readme.differences import difference_table
from prunebench.leaderboard.readme.images import image_tables
from prunebench.leaderboard.readme.neighbours import neighbours_table
from prunebench.leaderboard.readme.origin import making, origin, reduction, reproduction
from prunebench.leaderboard.readme.outcomes import outcomes_tables
from prunebench.leaderboard.readme.seeds import seeds_table
from prunebench.leaderboard.readme.smallest import smallest_table
from prunebench.leaderboard.tiers import tier

CURVES = "curves.svg"
RANKS = "ranks.svg"


def page(board: Board) -> str:
    """The README.md of a leaderboard: what it found first, then what stands behind it."""
    provenance = board.provenance
    parts = [
        f"# {escape(title_of(board))}",
        f"**Claim:** {escape(board.claim)}  \n**Verdict:** {escape(judgements.verdict_text(board.expectations))}",
        origin(provenance),
        tier(provenance),
        reduction(board),
    ]
    for group in board.groups:
        parts += [f"## {_title(group)}", results_table(group, board.alpha)]
        if group.differences is not None:
            parts.append(difference_table(group, group.differences, board))
    if board.expectations:
        parts += ["## Held against published results", judgements.section(board.expectations)]
    parts += [
        "## Curves",
        f"![{escape(board.metric)} over density]({CURVES})",
        f"Means over seeds with {level(board.alpha)} intervals, from dense (left) to sparse on a logarithmic axis; "
        "dashed: the dense reference. Entries stand a little aside of one another where their intervals overlap. A "
        "hollow mark is a mean without the trials that are not ok; one with a point in it is interpolated, and a "
        "dotted line leads to the two tickets that it lies between. A cross is a density at which no trial is ok; a "
        "large triangle at the edge stands for a value beyond it.",
    ]
    for group in board.groups:
        parts += _behind(group, board)
    parts += [
        "## Across models and data",
        blocks_text(board, RANKS),
        "## How this was made",
        making(provenance),
        "## How to reproduce it",
        reproduction(),
        "## Files",
        _FILES,
    ]
    return "\n\n".join(parts) + "\n"


_FILES = """\
- `results.jsonl`: every number, one a line; `results.csv` and `results.parquet` have the same rows as columns. In the \
CSV a text that a spreadsheet would run as a formula has an apostrophe before it; the other two have it as it is.
- `details.jsonl`: curves, layers and test hits behind them. `provenance.json`: where they come from.
- `table.tex`: the main tables for LaTeX (booktabs)."""


def _title(group: Group) -> str:
    return f"{escape(group.model)} on {escape(group.data)}"


def _behind(group: Group, board: Board) -> list[str]:
    """What stands behind a group's first tables, each under a heading of its own."""
    return [
        f"## Behind the table: {_title(group)}",
        "### Neighbours in rank",
        neighbours_table(group, board),
        "### Each seed",
        seeds_table(group, board),
        "### Other seeds, other images",
        image_tables(group, board),
        "### Area under the curve",
        area_table(group, board),
        "### Smallest density that keeps the dense value",
        smallest_table(group, board),
        "### Trials that are not ok",
        outcomes_tables(group, board),
    ]
