"""The components that take part in a phase, and what they read: the answers to `prunebench_needs`."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PlanError
from prunebench.api.planning import Needs, PlannedTicket, Request, TrainedPoint
from prunebench.api.positions import Clock
from prunebench.components.managers import call_planning_hook, several
from prunebench.plan.specs import ComponentSpec, ParticipantSpec


def needs_of(component: BoundComponent, request: Request) -> list[Needs]:
    """What a component asks for in a phase; empty if it asks for nothing."""
    answer = call_planning_hook(component, "prunebench_needs", request=request)
    return several(component, "prunebench_needs", answer, Needs)


class Participants:
    """Makes the part of a phase's spec that a component is; what reads nothing is made once for a whole plan."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Clock | None], tuple[BoundComponent, ComponentSpec, ParticipantSpec]] = {}

    def component(self, component: BoundComponent, clock: Clock | None = None) -> ComponentSpec:
        """A component that reads nothing, by its kind; positions in iterations where a clock is given."""
        return self._of(component, clock)[1]

    def of(self, component: BoundComponent, needs: Needs, clock: Clock | None = None) -> ParticipantSpec:
        """A component with what it needs."""
        plain = self._of(component, clock)[2]
        if not needs.inputs:
            return plain
        inputs = {name: tuple(map(_trained, points)) for name, points in needs.inputs.items()}
        return ParticipantSpec(plain.use, plain.version, plain.config, inputs)

    def taking_part(
        self, components: Sequence[BoundComponent], request: Request, clock: Clock | None = None
    ) -> tuple[ParticipantSpec, ...]:
        """Those components that take part in a phase, in their order.

        Raises:
            PlanError: several Needs of one component, or a pruning that a component stays out of.
        """
        return tuple(
            self.of(component, needs, clock)
            for component in components
            if (needs := self._single_needs(component, request)).active
        )

    def _single_needs(self, component: BoundComponent, request: Request) -> Needs:
        needs = needs_of(component, request)
        if len(needs) > 1:
            raise PlanError(f"component {component}: only an analysis may ask for several Needs")
        if not needs:
            return Needs()
        if request.phase == "prune" and not needs[0].active:
            raise PlanError(f"component {component}: a score or a selection cannot stay out of a pruning")
        return needs[0]

    def _of(
        self, component: BoundComponent, clock: Clock | None
    ) -> tuple[BoundComponent, ComponentSpec, ParticipantSpec]:
        # By identity: to compare or to hash configurations takes longer than to write them. The entry keeps it alive.
        known = self._known.get((id(component), clock))
        if known is None:
            spec = ComponentSpec.of(component, clock)
            known = (component, spec, ParticipantSpec(spec.use, spec.version, spec.config, {}))
            self._known[id(component), clock] = known
        return known


def _trained(point: TrainedPoint | PlannedTicket) -> TrainedPoint:
    return point if isinstance(point, TrainedPoint) else TrainedPoint(point.weights, point.mask, point.round)
