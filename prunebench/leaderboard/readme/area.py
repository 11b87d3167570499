"""The area under the curve over density: one number for an entry."""

from __future__ import annotations

from prunebench.api.board import Board, Group
from prunebench.api.report import NOTHING, escape, interval_text, level, name_of, table


def area_table(group: Group, board: Board) -> str:
    """Areas with Student intervals over seeds, in the order of the ranking; or why there is none."""
    shared, metric = group.shared, group.metric
    if len(shared) < 2:
        return "None: an area needs two densities below 100 % at which every ranked entry was tried."
    lines = [
        [
            name_of(entry),
            str(len(entry.areas)),
            NOTHING if entry.area is None else interval_text(entry.area, metric),
        ]
        for entry in group.shown
    ]
    caption = (
        f"Area under {escape(metric.name)} over ln(density), by trapezoids through the {len(shared)} densities below "
        f"100 % shared by all ranked entries ({group.labels[shared[0]]} to {group.labels[shared[-1]]}), divided by the "
        f"range of ln(density), so in {metric.shown or 'its own unit'}. Mean ± {level(board.alpha)} Student interval "
        "of the seeds' areas; only seeds that are ok at all these densities count."
    )
    return "\n\n".join([caption, table(["entry", "n", "area"], lines, "lrr")])
