"""Tables that are laid over one another, and which of them states what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from prunebench.api.problems import Path, Problem
from prunebench.benchmark.merging import component_over
from prunebench.benchmark.toml import Table


@dataclass(frozen=True)
class Layer:
    """A table of the file, and its place there, with the dot or colon that ends it: `train.`, `entry "imp": find.`"""

    place: str
    table: Mapping[str, Any]


def laid(layers: Sequence[Layer]) -> Table:
    """The tables merged, the later over the earlier."""
    return reduce(component_over, (layer.table for layer in layers), {})


def located(problem: Problem, layers: Sequence[Layer]) -> str:
    """A problem of the merged table, named where it stands: in the layer that goes furthest along its path."""
    owner, furthest = layers[0], 1
    for layer in reversed(layers):
        depth = _depth(layer.table, problem.path)
        if depth == len(problem.path) and layer.table:
            return problem.at(layer.place)
        if depth >= furthest:
            owner, furthest = layer, depth
        first = layer.table.get(str(problem.path[0])) if problem.path else None
        if first is not None and (not isinstance(first, Mapping) or "use" in first):
            break  # it replaces what stands below
    return problem.at(owner.place)


def _depth(value: Any, path: Path) -> int:
    """How far a path goes in a table; a component that stands alone in its list has no index in a path."""
    for depth, part in enumerate(path):
        if isinstance(value, list) and isinstance(part, str) and len(value) == 1:
            value = value[0]
        known = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
        if part not in known:
            return depth
        value = value[part]
    return len(path)
