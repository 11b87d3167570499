"""The search of torch-pruning for what depends on a layer, kept within a number of steps.

The search goes on as long as it meets indices that are new to it. Where an index mapping shifts them each time around,
as at the concatenated channels of timm's ReXNet, it never ends. In a network that it ends in, it looks at a node about
as often as there are ways to it: DenseNet-121, the densest tried, needs three looks a node on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOKS = 50
"""Looks a node, on average, after which the search is given up."""


class EndlessSearchError(Exception):
    """The search did not end within its steps."""


@contextmanager
def bounded(graph: Any) -> Iterator[None]:
    """Give up searches inside that look at nodes too often; the graph is afterwards as it was."""
    nodes = list(graph.module2node.values())
    before = [node.dependencies for node in nodes]
    steps = _Steps(LOOKS * len(nodes))
    for node, dependencies in zip(nodes, before, strict=True):
        node.dependencies = _Counted(dependencies, steps)
    try:
        yield
    finally:
        for node, dependencies in zip(nodes, before, strict=True):
            node.dependencies = dependencies


class _Steps:
    def __init__(self, left: int) -> None:
        self.left = left


class _Counted(list[Any]):
    """The dependencies of a node; each time that they are gone through is a step."""

    def __init__(self, dependencies: list[Any], steps: _Steps) -> None:
        super().__init__(dependencies)
        self._steps = steps

    def __iter__(self) -> Iterator[Any]:
        self._steps.left -= 1
        if self._steps.left < 0:
            raise EndlessSearchError
        return super().__iter__()
