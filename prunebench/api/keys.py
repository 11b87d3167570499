"""Canonical JSON and sha256: equal configurations have equal keys, and nothing else does. No torch."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN. Numbers keep their declared type: 1 and 1.0 differ."""
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
