"""The table of committed leaderboards in README.md, from their results.

`python -m prunebench.commands.boards_table leaderboards README.md` writes it again.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from prunebench.leaderboard.build import board_of
from prunebench.leaderboard.facts import how_many_seeds
from prunebench.leaderboard.judgements import verdict_text
from prunebench.results.folder import read_results

BEGIN, END = "<!-- leaderboards: generated -->", "<!-- end of leaderboards -->"


def boards_table(leaderboards: Path) -> str:
    """The table, between its marks: what each board asks, of how many seeds, on what, and what became of its claims."""
    rows = [_row(path.parent) for path in sorted(leaderboards.glob("*/provenance.json"))]
    head = ["| leaderboard | asked | seeds | run on | published results |", "| --- | --- | --: | --- | --- |"]
    return "\n".join([BEGIN, *head, *rows, END])


def with_table(page: str, leaderboards: Path) -> str:
    """A page with the table between the marks written again. Raises ValueError where it has no marks."""
    found = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    again, count = found.subn(lambda _: boards_table(leaderboards), page)
    if not count:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return again


def _row(folder: Path) -> str:
    results = read_results(folder)
    board, made = board_of(results), results.provenance
    where = f"{made.hardware.get('device', '?')}, {made.hardware.get('cores', '?')} cores"
    judged = verdict_text(board.expectations) if board.expectations else "none"
    name = f"[{folder.name}]({folder.parent.name}/{folder.name}/README.md)"
    return f"| {name} | {board.claim} | {how_many_seeds(made)} | {where} | {judged} |"


if __name__ == "__main__":
    for name in sys.argv[2:]:
        page = Path(name)
        page.write_text(with_table(page.read_text(encoding="utf-8"), Path(sys.argv[1])), encoding="utf-8")
