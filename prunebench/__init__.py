"""prunebench: the benchmark suite for neural-network pruning.

The public names that a plugin needs are here; none of them imports torch.
"""

import pluggy

from prunebench.errors import ContractError, DataMissing, PlanError, PrunebenchError
from prunebench.types import (
    Component,
    ComponentConfig,
    EntryRef,
    Figure,
    Measurement,
    Position,
)

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("prunebench")

__all__ = [
    "Component",
    "ComponentConfig",
    "ContractError",
    "DataMissing",
    "EntryRef",
    "Figure",
    "Measurement",
    "PlanError",
    "Position",
    "PrunebenchError",
    "hookimpl",
]
