"""One piece of work: a phase and the outputs wanted of it, as JSON, which any machine with the store can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from prunebench.api.planning import Ref
from prunebench.plan.phases import Phase
from prunebench.plan.trial import Plan


@dataclass(frozen=True)
class Work:
    """A phase with the outputs that are missing of it."""

    key: str
    kind: str
    spec: Mapping[str, Any]
    parents: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """How the curves among the outputs are measured."""

    @classmethod
    def of(cls, plan: Plan, phase: Phase, outputs: frozenset[Ref]) -> Work:
        """The work for some outputs of a phase of a plan."""
        ordered = tuple(sorted(outputs, key=lambda r: (r.at or 0, r.part, r.detail)))
        curves = {ref.detail: plan.curves[ref.detail] for ref in ordered if ref.part == "curve"}
        return cls(phase.key, phase.kind, phase.spec, phase.parents, ordered, curves)

    def to_json(self) -> dict[str, Any]:
        """For an executor."""
        return {
            "key": self.key,
            "kind": self.kind,
            "spec": self.spec,
            "parents": [ref.to_json() for ref in self.parents],
            "outputs": [ref.to_json() for ref in self.outputs],
            "curves": self.curves,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Work:
        """Back from JSON."""
        return cls(
            data["key"],
            data["kind"],
            data["spec"],
            tuple(Ref.from_json(r) for r in data["parents"]),
            tuple(Ref.from_json(r) for r in data["outputs"]),
            data["curves"],
        )


class CancelledError(Exception):
    """The work was told to stop; what it has done is checkpointed."""


class Channel(Protocol):
    """How work speaks while it runs."""

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Tell how far it is: "iteration", "stop", "loss", and what was measured. Raises CancelledError to stop."""
        ...


class Silent:
    """A channel that nobody listens to."""

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Drop the news."""
