"""prunebench: the benchmark suite for neural-network pruning.

The public names that a plugin needs are here. None of them imports torch, and none is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from prunebench.api.component import Component, ComponentConfig, EntryRef
    from prunebench.api.errors import CannotTakePart, ContractError, DataMissing, PlanError, PrunebenchError
    from prunebench.api.measurements import Figure, Measurement
    from prunebench.api.positions import Position

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("prunebench")

_WHERE = {
    "CannotTakePart": "errors",
    "Component": "component",
    "ComponentConfig": "component",
    "ContractError": "errors",
    "DataMissing": "errors",
    "EntryRef": "component",
    "Figure": "measurements",
    "Measurement": "measurements",
    "PlanError": "errors",
    "Position": "positions",
    "PrunebenchError": "errors",
}
"""The module of `prunebench.api` that has each public name."""

__all__ = [
    "CannotTakePart",
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


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: `prunebench --help` needs none of them."""
    if name in _WHERE:
        return getattr(import_module(f"prunebench.api.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
