"""What trackers are told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened in a run: what trackers see."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
