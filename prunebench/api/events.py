"""What trackers are told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Event(NamedTuple):
    """Something that happened in a run: what trackers see."""

    kind: str
    fields: Mapping[str, Any] = MappingProxyType({})
