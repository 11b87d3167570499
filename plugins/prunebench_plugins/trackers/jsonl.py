"""A log that any tool can read: one line of JSON for each event."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.events import Event


class JsonlConfig(ComponentConfig):
    """`path`: the file to append to, seen from the folder that the run was started in."""

    path: str = "events.jsonl"


class Jsonl:
    """Appends {"event": kind, "time": seconds since 1970, "fields": {...}} to a file."""

    def __init__(self, config: JsonlConfig) -> None:
        self._path = Path(config.path)

    @hookimpl
    def prunebench_track(self, event: Event) -> None:
        """Append a line; it is in the file when this returns."""
        line = json.dumps({"event": event.kind, "time": time.time(), "fields": finite(event.fields)}, allow_nan=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def finite(value: Any) -> Any:
    """The value with NaN and infinities as null: JSON has no word for a diverged loss."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `jsonl`."""
    yield Component("jsonl", JsonlConfig, Jsonl, version=1)
