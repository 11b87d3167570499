"""What a run would diverge with at its first step; known before it is queued."""

from __future__ import annotations

from prunebench.components.time_limit import watched
from prunebench.runner.preparing import Prepared


def refuse_not_finite(prepared: Prepared) -> None:
    """Nothing if every network gives finite outputs and losses before anything trains.

    Raises:
        ConfigError: with each that does not.
    """
    from prunebench.api.errors import ConfigError
    from prunebench.engine.environment import sealed_off
    from prunebench.engine.first_values import not_finite
    from prunebench.engine.workbench import Workbench

    workbench = Workbench(prepared.open_store(), prepared.benchmark.catalogue, prepared.root, "cpu")
    with watched(), sealed_off("cpu", 1, 0):
        found = tuple(not_finite(prepared.plan, workbench))
    if found:
        raise ConfigError([f"{prepared.benchmark.file}: {one}" for one in found])
