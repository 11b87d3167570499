"""Threads that code of others left running: what they do later would happen in the middle of somebody else's work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection

_SOUND = frozenset({*sys.stdlib_module_names, "prunebench", "prunebench_plugins", "torch", "numpy", "tqdm"})
"""Packages whose threads wait for work, and do none of their own accord."""


def left_by_others(known: Collection[threading.Thread]) -> list[str]:
    """Names of the threads that run beside the known ones, and run code that is neither the suite's nor a library's."""
    return [one.name for one in threading.enumerate() if one not in known and _package(one) not in _SOUND]


def _package(thread: threading.Thread) -> str:
    """The package of the code that a thread runs."""
    target = getattr(thread, "_target", None)
    module = type(thread).__module__ if target is None else getattr(target, "__module__", None)
    return str(module).partition(".")[0]
