"""Which outputs must be made for what is wanted, parents first."""

from __future__ import annotations

from collections.abc import Callable

from prunebench.api.planning import Ref
from prunebench.plan.phases import Phase


def demanded(
    phases: dict[str, Phase], sinks: list[Ref], have: Callable[[Ref], bool] = lambda ref: False
) -> dict[str, frozenset[Ref]]:
    """The outputs that must be made for `sinks`, by phase, parents first; what `have` says is there is left out."""
    outputs: dict[str, set[Ref]] = {}
    order: list[str] = []
    seen: set[Ref] = set()
    stack = [(ref, False) for ref in reversed(sinks)]
    while stack:
        ref, done = stack.pop()
        if done:
            if ref.key not in outputs:
                order.append(ref.key)
            outputs.setdefault(ref.key, set()).add(ref)
            continue
        if ref in seen or have(ref):
            continue
        seen.add(ref)
        stack.append((ref, True))
        if ref.key not in outputs:
            stack += [(parent, False) for parent in phases[ref.key].parents]
    return {key: frozenset(outputs[key]) for key in order}
