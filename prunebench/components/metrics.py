"""What a task says of its metrics, checked at the door. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prunebench.api.component import BoundComponent
from prunebench.api.errors import ContractError
from prunebench.api.task import EARLY_STOP, LOSS, MetricInfo, Metrics
from prunebench.components.managers import call_planning_hook

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def metrics_of(task: BoundComponent) -> Metrics:
    """How each metric of a task reads.

    Raises:
        ContractError: it names none, no loss that is better when lower, or one that cannot be the name of a metric.
    """
    found = call_planning_hook(task, "prunebench_metrics")
    who = f"task {task}: prunebench_metrics"
    if not isinstance(found, Mapping) or not all(isinstance(info, MetricInfo) for info in found.values()):
        raise ContractError(f"{who}: it gave {type(found).__name__}, not a MetricInfo for each name")
    for name in found:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None or name.startswith(EARLY_STOP):
            raise ContractError(
                f"{who}: {name!r} is not a name: lower-case letters, digits and _, not beginning with {EARLY_STOP}"
            )
    if LOSS not in found or found[LOSS].higher:
        raise ContractError(f'{who}: there is no "{LOSS}" that is better when lower; early stopping goes by it')
    return dict(found)
