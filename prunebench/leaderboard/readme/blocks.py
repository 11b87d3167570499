"""Several models and data sets taken together."""

from __future__ import annotations

from prunebench.api.board import Blocks, Board
from prunebench.api.report import escape, p_text, table


def blocks_text(board: Board, picture: str) -> str:
    """Mean ranks, the test and what it means; or why there is no test."""
    blocks = board.blocks
    if not blocks.mean_ranks:
        return f"No mean ranks: {blocks.why}."
    if len(blocks.names) == 1:
        return "No mean ranks: there is one model on one data set, and its table above has the ranks."
    parts = [
        f"Mean rank over {len(blocks.names)} blocks (model x data), 1 being best and equals "
        f"sharing the mean of their ranks.{_partial(blocks)}",
        table(["entry", "mean rank"], [[escape(e), f"{rank:.2f}"] for e, rank in blocks.mean_ranks.items()], "lr"),
    ]
    if blocks.p is None or blocks.critical is None:
        return "\n\n".join([*parts, f"No test: {blocks.why}."])
    verdict = "the entries differ" if blocks.p < board.alpha else "no difference between the entries is shown"
    parts.append(
        f"Friedman's test: chi-square {blocks.statistic:.2f} with {len(blocks.mean_ranks) - 1} degrees of freedom, "
        f"{p_text(blocks.p)}: {verdict} at level {board.alpha:g}. Critical difference of mean ranks (Nemenyi): "
        f"{blocks.critical:.2f}; entries under one bar are not told apart by it."
    )
    return "\n\n".join([*parts, f"![mean ranks with the critical difference]({picture})"])


def _partial(blocks: Blocks) -> str:
    names = ", ".join(map(escape, blocks.partial))
    return f" Without a mean rank, since not every block has them: {names}." if names else ""
