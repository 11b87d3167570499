"""Entries after those that they need: one walk for `extends`, `tickets` and what components refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from prunebench.benchmark import bounds
from prunebench.benchmark.errors import Errors


def in_order(needs: Mapping[str, Iterable[str]], errors: Errors) -> list[str]:
    """The names, each after those that it needs; what needs itself, in a circle or too long a row, is left out.

    Args:
        needs: for each entry, in the order of the file, those that it needs; unknown ones are passed over.
        errors: which circles and long rows join, each once, from the entry that comes first in the file.
    """
    file = list(needs)
    left = {name: [other for other in others if other in needs] for name, others in needs.items()}
    while True:
        try:
            order = list(TopologicalSorter(left).static_order())
            break
        except CycleError as error:
            circle: list[str] = error.args[1][-2::-1]
            start = circle.index(min(circle, key=file.index))
            turned = [*circle[start:], *circle[: start + 1]]
            errors.append(f'entry "{turned[0]}": the entries refer to one another in a circle: {" -> ".join(turned)}')
            left = {name: others for name, others in left.items() if name not in circle}
            left = {name: [other for other in others if other in left] for name, others in left.items()}
    rows: dict[str, int] = {}
    for name in order:
        rows[name] = 1 + max((rows[other] for other in left[name]), default=0)
        if rows[name] == bounds.CHAIN + 1:
            errors.append(f'entry "{name}": more than {bounds.CHAIN} entries refer to one another in a row')
    return [name for name in order if rows[name] <= bounds.CHAIN]
