"""The processor's name, as it tells it itself."""

from __future__ import annotations

import platform


def processor_name() -> str:
    """From /proc/cpuinfo; what Python knows where the system has none."""
    known = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), known)
    except OSError:
        return known
