"""The first weights of a trial: drawn, read from a file, or read but for the classifier's."""

from __future__ import annotations

from torch import Tensor

from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import InitSpec, LoadSpec


def first_weights(spec: InitSpec | LoadSpec, workbench: Workbench) -> dict[str, Tensor]:
    """The state of the network before anything trains it.

    Raises:
        ContractError: the file changed since the run was planned.
    """
    if isinstance(spec, LoadSpec):
        return workbench.pretrained(spec.model, spec.weights)
    drawn = workbench.fresh(spec.model, spec.init, spec.streams.rng("init"))
    return drawn if spec.weights is None else workbench.transferred(spec.model, spec.weights, drawn)
