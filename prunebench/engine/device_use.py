"""Which phases need a device, and which are left to the processor so that they hold none."""

from __future__ import annotations

from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import accepts, implements
from prunebench.plan.specs import (
    AnalyseSpec,
    ComponentSpec,
    EditSpec,
    InitSpec,
    JointPruneSpec,
    LoadSpec,
    PhaseSpec,
    PruneSpec,
    TrainSpec,
)


def uses_device(spec: PhaseSpec, catalogue: Catalogue) -> bool:
    """Whether a phase sends data through a network: training, and components that ask for `data`.

    Weights are compared, cut and edited on the processor, whatever else there is. It follows from the phase alone, so
    that it gives the same bits in every worker of an environment.
    """
    match spec:
        case TrainSpec():
            return True
        case InitSpec() | LoadSpec():
            return False
        case EditSpec() | JointPruneSpec():
            return spec.data is not None
        case PruneSpec():
            return _reads_data(spec.score, "prunebench_score", catalogue)
        case AnalyseSpec():
            return _reads_data(spec.analysis, "prunebench_analyse", catalogue)


def _reads_data(component: ComponentSpec, hook: str, catalogue: Catalogue) -> bool:
    plugin = catalogue.from_json({"use": component.use, "version": component.version, "config": component.config})
    planner = plugin.planner
    return implements(planner, hook) and accepts(planner, hook, "data")
