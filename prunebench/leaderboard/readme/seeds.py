"""The values themselves, where there are too few seeds for an interval to say much."""

from __future__ import annotations

from prunebench.api.board import Board, Group
from prunebench.api.report import FEW, NOTHING, corner, escape, name_of, seeds_text, table


def seeds_table(group: Group, board: Board) -> str:
    """Each seed's value in the cells of few seeds; or why there is none."""
    few = [cell for cell in group.cells if 1 < cell.n <= FEW]
    if not few:
        return f"None: no mean is over two to {FEW} seeds."
    lines = [
        [
            name_of(entry),
            *(
                seeds_text(cell, group.metric) if (cell := entry.cells.get(p)) and 1 < cell.n <= FEW else NOTHING
                for p in group.places
            ),
        ]
        for entry in group.shown
    ]
    caption = (
        f"{escape(group.metric.label)}: each seed's value, in the order of the seeds, where a mean is over two to "
        f"{FEW} of them: an interval of so few says little more than they do."
    )
    head = [corner(group), *group.labels.values()]
    return "\n\n".join([caption, table(head, lines, "l" + "r" * len(group.columns))])
