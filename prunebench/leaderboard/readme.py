"""The page of a leaderboard, in the order of a sceptic's questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.api.provenance import Provenance
from prunebench.leaderboard.area import area_table
from prunebench.leaderboard.blocks import Blocks, blocks_text
from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.expectations import contradictions, judged
from prunebench.leaderboard.images import image_tables
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import metric_of
from prunebench.leaderboard.neighbours import neighbours_table
from prunebench.leaderboard.origin import making, origin, reduction, reproduction
from prunebench.leaderboard.outcomes import outcomes_tables
from prunebench.leaderboard.smallest import smallest_table
from prunebench.leaderboard.tables import difference_table, results_table
from prunebench.leaderboard.tiers import tier
from prunebench.leaderboard.untyped import Results

CURVES = "curves.svg"
RANKS = "ranks.svg"


def page(results: Results, groups: Sequence[Group], blocks: Blocks) -> str:
    """The README.md of a leaderboard: what it found first, then what stands behind it."""
    provenance = results.provenance
    told = provenance["report"]
    metric, alpha = told["metric"], told["alpha"]
    parts = [
        f"# {escape(told['name'])}",
        f"**Claim: {escape(told['claim'])}**",
        origin(provenance),
        tier(Provenance.model_validate_json(json.dumps(provenance))),
        reduction(provenance, told["notes"]),
    ]
    for group in groups:
        measured = metric_of(metric, group.unit)
        parts += [f"## {_title(group)}", results_table(group, measured, alpha)]
        if told["against"] is not None:
            parts.append(difference_table(group, measured, told["against"], alpha))
    contradicting = contradictions(judged(results))
    if contradicting:
        parts += ["## Held against published results", contradicting]
    parts += [
        "## Curves",
        f"![{escape(metric)} over density]({CURVES})",
        f"Means over seeds with {100 * (1 - alpha):g} % intervals, from dense (left) to sparse on a logarithmic axis; "
        "dashed: the dense reference. A hollow mark is a mean without the trials that are not ok, a cross a density "
        "at which none is; a large triangle at the edge stands for a value beyond it.",
    ]
    for group in groups:
        parts += _behind(group, metric, told["against"], results.details, alpha)
    parts += [
        "## Across models and data",
        blocks_text(blocks, alpha, RANKS),
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


def _behind(
    group: Group, metric: str, against: str | None, details: Sequence[Mapping[str, Any]], alpha: float
) -> list[str]:
    """What stands behind a group's first tables, each under a heading of its own."""
    measured = metric_of(metric, group.unit)
    return [
        f"## Behind the table: {_title(group)}",
        "### Neighbours in rank",
        neighbours_table(group, measured, alpha),
        "### Other seeds, other images",
        image_tables(group, measured, against, details, alpha),
        "### Area under the curve",
        area_table(group, measured, alpha),
        "### Smallest density that keeps the dense value",
        smallest_table(group, measured, against, alpha),
        "### Trials that are not ok",
        outcomes_tables(group, measured, alpha),
    ]
