"""One piece of work: a phase and the outputs wanted of it, as JSON, which any machine with the store can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from prunebench.api.planning import Ref
from prunebench.plan.curves import CurveSpec
from prunebench.plan.json_values import from_json, to_json
from prunebench.plan.phases import Phase
from prunebench.plan.specs import Kind, PhaseSpec
from prunebench.plan.trial import Plan


class Work(NamedTuple):
    """A phase with the outputs that are missing of it."""

    phase: Phase
    outputs: tuple[Ref, ...]
    curves: Mapping[str, CurveSpec] = MappingProxyType({})
    """How the curves among the outputs are measured."""

    @classmethod
    def of(cls, plan: Plan, phase: Phase, outputs: Collection[Ref]) -> Work:
        """The work for some outputs of a phase of a plan, each named once."""
        curves: dict[str, CurveSpec] = {}
        for ref in outputs:
            if ref.part == "curve":
                curves[ref.detail] = plan.curves[ref.detail]
        return cls(phase, tuple(outputs), curves)

    @property
    def key(self) -> str:
        """The phase's."""
        return self.phase.key

    @property
    def kind(self) -> Kind:
        """The phase's."""
        return self.phase.kind

    @property
    def spec(self) -> PhaseSpec:
        """What the phase computes."""
        return self.phase.spec

    @property
    def parents(self) -> list[str]:
        """The addresses of the outputs that the phase reads."""
        return [ref.address for ref in self.phase.parents]

    def to_json(self) -> dict[str, Any]:
        """For an executor."""
        return {**self.phase.to_json(), "outputs": to_json(self.outputs), "curves": to_json(self.curves)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Work:
        """Back from JSON.

        Raises:
            ContractError: not a piece of work, or one of another version of prunebench.
        """
        phase = Phase.from_json(data)
        where = f"phase {phase.key[:12]} ({phase.kind})"
        outputs = from_json(tuple[Ref, ...], data["outputs"], f"{where}: outputs")
        return cls(phase, outputs, from_json(dict[str, CurveSpec], data["curves"], f"{where}: curves"))


class CancelledError(Exception):
    """The work was told to stop; what it has done is checkpointed."""


class Channel(Protocol):
    """How work speaks while it runs."""

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Tell how far it is: "iteration" of "stop", where it was "taken_up", "loss", and what was measured.

        Raises:
            CancelledError: to stop.
        """
        ...


class Silent:
    """A channel that nobody listens to."""

    def progress(self, fields: Mapping[str, Any]) -> None:
        """Drop the news."""
