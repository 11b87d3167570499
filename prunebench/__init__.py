"""prunebench: the benchmark suite for neural-network pruning.

The public names that a plugin needs are here, and those of the suite from Python: `load`, `prune`, `load_results`,
`load_ticket`, `compare`. None of them imports torch, and none is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prunebench.api.marker import hookimpl
from prunebench.api.version import VERSION

if TYPE_CHECKING:
    from prunebench.api.component import Component, ComponentConfig, EntryRef
    from prunebench.api.errors import CannotTakePart, ContractError, DataMissing, PlanError, PrunebenchError
    from prunebench.api.measurements import Figure, Measurement
    from prunebench.api.positions import Position
    from prunebench.library import (
        Comparison,
        Experiment,
        Leaderboard,
        LoadedTicket,
        Pruning,
        compare,
        load,
        load_results,
        load_ticket,
        prune,
    )

__version__ = VERSION

_WHERE = {
    "CannotTakePart": "api.errors",
    "Comparison": "library",
    "Component": "api.component",
    "ComponentConfig": "api.component",
    "ContractError": "api.errors",
    "DataMissing": "api.errors",
    "EntryRef": "api.component",
    "Experiment": "library",
    "Figure": "api.measurements",
    "Leaderboard": "library",
    "LoadedTicket": "library",
    "Measurement": "api.measurements",
    "PlanError": "api.errors",
    "Position": "api.positions",
    "Pruning": "library",
    "PrunebenchError": "api.errors",
    "compare": "library",
    "load": "library",
    "load_results": "library",
    "load_ticket": "library",
    "prune": "library",
}
"""The module below `prunebench` that has each public name."""

__all__ = [
    "CannotTakePart",
    "Comparison",
    "Component",
    "ComponentConfig",
    "ContractError",
    "DataMissing",
    "EntryRef",
    "Experiment",
    "Figure",
    "Leaderboard",
    "LoadedTicket",
    "Measurement",
    "PlanError",
    "Position",
    "PrunebenchError",
    "Pruning",
    "compare",
    "hookimpl",
    "load",
    "load_results",
    "load_ticket",
    "prune",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: `prunebench --help` needs none of them."""
    if name in _WHERE:
        return getattr(import_module(f"prunebench.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
