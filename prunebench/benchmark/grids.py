"""Grids: one entry that stands for the product of its axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import prod
from typing import Any

from prunebench.api.errors import ConfigError
from prunebench.benchmark import bounds
from prunebench.benchmark.merging import merge, normalise_entry
from prunebench.benchmark.toml import Printed, Table


def expand_grid(entry: Table) -> list[Table]:
    """The entries that one entry with a `grid` stands for: the product of its axes, keys of one axis in step.

    Raises:
        ConfigError: an axis that is not a table of lists, lists of unequal length, an axis not in the name, or more
            entries than a file may have.
    """
    if "grid" not in entry:
        return [entry]
    name, grid = str(entry.get("name")), entry["grid"]
    if not isinstance(grid, Mapping) or not grid:
        raise ConfigError(['grid: write one axis a line, like f = { "find.optimizer.lr" = [0.05, 0.2] }'])
    axes: list[list[tuple[str, Table]]] = []
    for axis, keys in grid.items():
        if not isinstance(keys, Mapping) or not keys or not all(isinstance(v, list) and v for v in keys.values()):
            raise ConfigError([f'grid.{axis}: an axis is a table of keys and lists: {{ "train.batch" = [60, 120] }}'])
        if len({len(v) for v in keys.values()}) > 1:
            raise ConfigError([f"grid.{axis}: the keys of one axis change together; their lists differ in length"])
        if "{" + axis + "}" not in name:
            raise ConfigError([f'grid.{axis}: the name must hold "{{{axis}}}", or two entries would share it'])
        steps = [dict(zip(keys, values, strict=True)) for values in zip(*keys.values(), strict=True)]
        axes.append([(axis, step) for step in steps])
    size = prod(map(len, axes))
    if size > bounds.ENTRIES:
        raise ConfigError([f"grid: it stands for {size:,} entries; at most {bounds.ENTRIES:,} can be"])
    base = {k: v for k, v in entry.items() if k != "grid"}
    expanded: list[Table] = []
    written = 0
    for combination in itertools.product(*axes):
        labels = {axis: _label(next(iter(step.values()))) for axis, step in combination}
        made = _formatted(base, labels)
        for _, step in combination:
            made = merge(made, normalise_entry(step))
        expanded.append(made)
        written += len(str(made))
        if written > bounds.GRID_TEXT:
            raise ConfigError([f"grid: its entries have more than {bounds.GRID_TEXT:,} characters in all"])
    return expanded


def _label(value: Any) -> str:
    if isinstance(value, Mapping):
        text = str(value.get("use", value))
    elif isinstance(value, list):
        text = "+".join(_label(v) for v in value)
    else:
        text = value.text if isinstance(value, Printed) else str(value)
    if len(text) > bounds.NAME:
        raise ConfigError([f"grid: {text[:40]!r}... is too long for a name"])
    return text


def _formatted(value: Any, labels: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for axis, label in labels.items():
            value = value.replace("{" + axis + "}", label)
            if len(value) > bounds.TEXT:
                raise ConfigError([f"grid: the braces make a text of more than {bounds.TEXT:,} characters"])
        return value
    if isinstance(value, Mapping):
        return {k: _formatted(v, labels) for k, v in value.items()}
    if isinstance(value, list):
        return [_formatted(v, labels) for v in value]
    return value
