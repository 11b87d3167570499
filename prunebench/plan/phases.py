"""The phases of a plan, by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prunebench.api import keys
from prunebench.api.planning import Ref

ENGINE_VERSION = 1
"""Raised when the training loop, pruning or measuring yields other numbers for the same phase."""


@dataclass(frozen=True, eq=False)
class Phase:
    """One of the five kinds of work: init, train, prune, edit, analyse."""

    key: str
    kind: Literal["init", "train", "prune", "edit", "analyse"]
    spec: Mapping[str, Any]
    parents: tuple[Ref, ...]


class Phases:
    """The phases of a plan by key; equal phases meet here."""

    def __init__(self) -> None:
        self.by_key: dict[str, Phase] = {}

    def add(self, kind: Any, spec: Mapping[str, Any], parents: Sequence[Ref | None]) -> str:
        """Register a phase; returns its key."""
        key = keys.digest({"phase": kind, "engine": ENGINE_VERSION, **spec})
        if key not in self.by_key:
            self.by_key[key] = Phase(key, kind, spec, tuple(p for p in parents if p is not None))
        return key
