"""The table of published claims in benchmarks/README.md, from `claims.toml` and the boards beside it.

`python -m prunebench.commands.claims_table leaderboards benchmarks/README.md` writes it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prunebench.leaderboard.build import board_of
from prunebench.leaderboard.claim_texts import markdown
from prunebench.leaderboard.claims import FILE, read_claims, states_of
from prunebench.leaderboard.site import SiteBoard
from prunebench.results.folder import read_results

BEGIN, END = "<!-- claims: generated -->", "<!-- end of claims -->"


def claims_table(leaderboards: Path) -> str:
    """The table, between its marks."""
    boards = []
    for folder in sorted(path.parent for path in leaderboards.glob("*/provenance.json")):
        results = read_results(folder)
        boards.append(SiteBoard(folder.name, folder, results, board_of(results)))
    return f"{BEGIN}\n{markdown(states_of(read_claims(leaderboards / FILE), boards))}{END}"


def with_table(page: str, leaderboards: Path) -> str:
    """A page with the table between the marks written again. Raises ValueError where it has no marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return before + claims_table(leaderboards) + after


if __name__ == "__main__":
    for name in sys.argv[2:]:
        page = Path(name)
        page.write_text(with_table(page.read_text(encoding="utf-8"), Path(sys.argv[1])), encoding="utf-8")
