"""prunebench: the benchmark suite for neural-network pruning.

The public names that a plugin needs are here. None of them imports torch, and none is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from prunebench.errors import CannotTakePart, ContractError, DataMissing, PlanError, PrunebenchError
    from prunebench.types import Component, ComponentConfig, EntryRef, Figure, Measurement, Position

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("prunebench")

_ERRORS = ("CannotTakePart", "ContractError", "DataMissing", "PlanError", "PrunebenchError")
_TYPES = ("Component", "ComponentConfig", "EntryRef", "Figure", "Measurement", "Position")

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
    for module, names in (("prunebench.errors", _ERRORS), ("prunebench.types", _TYPES)):
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
