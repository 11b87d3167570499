"""What `prunebench data list` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from prunebench.runner.data_sets import DataSet


def data_list(data_sets: Sequence[DataSet]) -> RenderableType:
    """Data sets, whether they are there, and below that what they are or why they cannot be read."""
    width = max(len(one.name) for one in data_sets)
    lines: list[RenderableType] = []
    for one in data_sets:
        lines += [Text(f"{one.name:<{width}}  {one.state}"), Padding(Text(one.text), (0, 0, 0, 4))]
    return Group(*lines)
