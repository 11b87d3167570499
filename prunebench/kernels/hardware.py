"""What a reader asks of a result's machine: processor, cores, memory."""

from __future__ import annotations

import os
import platform


def hardware() -> dict[str, str | int]:
    """What a reader asks of a result's machine: processor, cores, memory, GPU."""
    found: dict[str, str | int] = {"cpu": processor_name(), "cores": len(os.sched_getaffinity(0))}
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        found["memory_gib"] = round(pages * size / 2**30)
    except (ValueError, OSError):
        pass
    return found


def processor_name() -> str:
    """From /proc/cpuinfo; what Python knows where the system has none."""
    known = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), known)
    except OSError:
        return known
