"""Each entry against the one above it, and against the one that decided its rank."""

from __future__ import annotations

from itertools import pairwise

from prunebench.api.board import Board, Group
from prunebench.api.report import NOTHING, compared_text, escape, level, table

_HEAD = ("rank", "entry", "above it", "entry minus above", "tested against, if another", "entry minus that")


def neighbours_table(group: Group, board: Board) -> str:
    """Paired differences of the scores that the ranking is by; or why there is none."""
    alpha, metric = board.alpha, group.metric
    ranked = [entry for name in group.order if (entry := group.entries[name]).rank is not None]
    if len(ranked) < 2:
        return "None: fewer than two entries are ranked."

    def cell(entry: str, other: str) -> str:
        compared = group.comparisons.get((entry, other))
        return "no common seed" if compared is None else compared_text(compared, metric, alpha)

    lines = []
    for above, entry in pairwise(ranked):
        leader = entry.leader or above.name
        decided = [NOTHING, NOTHING] if leader == above.name else [escape(leader), cell(entry.name, leader)]
        own = [str(entry.rank), escape(entry.name), escape(above.name), cell(entry.name, above.name)]
        lines.append([*own, *decided])
    unit = f", {metric.apart}" if metric.apart else ""
    how = (
        f"mean ± {level(alpha)} interval over seeds, and p of a two-sided t-test, Holm-corrected over all "
        f"{group.testable} pairs of ranked entries. **Bold**: corrected p below {alpha:g}. The intervals are not "
        "corrected."
        if group.testable
        else "of one seed each, without interval or test."
    )
    caption = f"Differences of the means that the order is by, paired by seed{unit}: {how}"
    return "\n\n".join([caption, table(_HEAD, lines, "rllrlr")])
