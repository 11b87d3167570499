"""The phases of a plan, by key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from prunebench.api.errors import ContractError
from prunebench.api.planning import Ref
from prunebench.plan.json_values import from_json, object_text, to_json
from prunebench.plan.specs import (
    AnalyseSpec,
    EditSpec,
    InitSpec,
    JointPruneSpec,
    Kind,
    LoadSpec,
    PhaseSpec,
    PruneSpec,
    TrainSpec,
    refs_of,
)

ENGINE_VERSION = 2
"""Raised when the training loop, pruning or measuring yields other numbers for the same phase."""

KINDS: Mapping[str, Any] = {
    "init": InitSpec | LoadSpec,
    "train": TrainSpec,
    "prune": PruneSpec | JointPruneSpec,
    "edit": EditSpec,
    "analyse": AnalyseSpec,
}

S = TypeVar("S", InitSpec, LoadSpec, TrainSpec, PruneSpec, JointPruneSpec, EditSpec, AnalyseSpec)


class _Reading:
    """Keeps what a phase reads once that is made out; small, as an output is."""

    __slots__ = ("_parents",)
    _parents: tuple[Ref, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Phase(_Reading):
    """One piece of work, with the key that names its outputs."""

    key: str
    spec: PhaseSpec

    @classmethod
    def of(cls, spec: PhaseSpec) -> Phase:
        """A phase under its key: sha256 of the canonical JSON of its kind, the engine's version and its spec."""
        text = object_text(spec, {"phase": f'"{spec.kind}"', "engine": str(ENGINE_VERSION)})
        return cls(hashlib.sha256(text.encode()).hexdigest(), spec)

    @property
    def kind(self) -> Kind:
        """One of the five: init, train, prune, edit, analyse."""
        return self.spec.kind

    @property
    def parents(self) -> tuple[Ref, ...]:
        """The outputs that it reads."""
        try:
            return self._parents
        except AttributeError:
            found = tuple(refs_of(self.spec))
            object.__setattr__(self, "_parents", found)
            return found

    def to_json(self) -> dict[str, Any]:
        """For an executor."""
        return {"key": self.key, "phase": self.kind, "spec": to_json(self.spec)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Phase:
        """Back from JSON.

        Raises:
            ContractError: not a phase, or one of another version of the engine: its key would name other numbers.
        """
        where = f"phase {data['key'][:12]} ({data['phase']})"
        if data["phase"] not in KINDS:
            raise ContractError(f"{where}: there is no such kind of phase")
        spec: PhaseSpec = from_json(KINDS[data["phase"]], data["spec"], where)
        phase = cls.of(spec)
        if phase.key != data["key"]:
            raise ContractError(f"{where}: its key is {phase.key[:12]} here: another version of prunebench planned it")
        return phase


class Phases:
    """The phases of a plan by key; equal phases meet here."""

    def __init__(self) -> None:
        self.by_key: dict[str, Phase] = {}

    def add(self, spec: PhaseSpec) -> str:
        """Register a phase; returns its key."""
        phase = Phase.of(spec)
        return self.by_key.setdefault(phase.key, phase).key


def spec_of(phases: Mapping[str, Phase], key: str, kind: type[S]) -> S:
    """What a phase of a known kind computes."""
    spec = phases[key].spec
    assert isinstance(spec, kind), f"phase {key[:12]} is of kind {spec.kind}"
    return spec
