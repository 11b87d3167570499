"""How much memory there is, and how much of it a process holds; where the system does not say, nothing is known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def usable_memory(limits: Sequence[str] = CGROUP_LIMITS) -> int | None:
    """Bytes that the processes of this machine, or of this container, may hold together; None if it is not known."""
    known = []
    with suppress(ValueError, OSError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in limits:
        with suppress(OSError, ValueError), open(limit) as file:  # "max" is no number, and no limit
            known.append(int(file.read()))
    return min(known, default=None)


def held_memory(pid: int | None) -> int:
    """Bytes that a process holds in memory; 0 if it is not known."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
