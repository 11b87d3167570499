"""Phases that compute nothing: for tests of what carries phases out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from prunebench.api.planning import Ref
from prunebench.plan.phases import Phase


@dataclass(frozen=True, eq=False)
class _Bare:
    key: str
    kind: str
    parents: tuple[Ref, ...]
    spec: Any = None

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "phase": self.kind, "spec": {}}


def bare_phase(key: str, kind: str = "edit", parents: Sequence[Ref] = ()) -> Phase:
    """A phase of a kind with these parents, whatever its spec would be."""
    return cast(Phase, _Bare(key, kind, tuple(parents)))
