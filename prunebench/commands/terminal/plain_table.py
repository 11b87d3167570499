"""A table without lines, as the terminal shows lists."""

from __future__ import annotations

from rich.table import Table


def plain_table(*columns: str, numbers: int = 0) -> Table:
    """Columns by their headings; the last `numbers` of them are numbers, which are never wrapped."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        right = index >= len(columns) - numbers
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table
