"""The page of a leaderboard, in the order of a sceptic's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.expectations import contradictions, judge
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import metric_of
from prunebench.leaderboard.provenance import making, origin, reduction, reproduction
from prunebench.leaderboard.rows import Row
from prunebench.leaderboard.tables import difference_table, results_table

CURVES = "curves.svg"


def page(
    rows: Sequence[Row],
    groups: Sequence[Group],
    *,
    name: str,
    claim: str,
    metric: str,
    against: str | None,
    alpha: float,
    entries: Sequence[str],
    notes: Sequence[str],
    provenance: Mapping[str, Any],
    expectations: Sequence[Mapping[str, Any]],
) -> str:
    """The README.md of a leaderboard."""
    parts = [f"# {escape(name)}", f"**Claim: {escape(claim)}**", origin(provenance), reduction(provenance, notes)]
    for group in groups:
        measured = metric_of(metric, group.unit)
        parts += [f"## {escape(group.model)} on {escape(group.data)}", results_table(group, measured, alpha)]
        if against is not None:
            parts.append(difference_table(group, measured, against, alpha))
    reduced = provenance.get("profile") is not None
    contradicting = contradictions(judge(expectations, rows, entries, alpha, reduced))
    if contradicting:
        parts += ["## What contradicts", contradicting]
    parts += [
        "## Curves",
        f"![{escape(metric)} over density]({CURVES})",
        f"Means over seeds with {100 * (1 - alpha):g} % intervals, from dense (left) to sparse on a logarithmic axis; "
        "dashed: the dense reference. A hollow mark is a mean without the trials that are not ok, a cross a density "
        "at which none is; a large triangle at the edge stands for a value beyond it.",
        "## How this was made",
        making(provenance),
        "## How to reproduce it",
        reproduction(),
    ]
    return "\n\n".join(parts) + "\n"
