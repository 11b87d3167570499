"""A log that any tool can read: one line of JSON for each event."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import field_validator

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.events import Event


class JsonlConfig(ComponentConfig):
    """`path`: the file to append to, below the folder `log` of the leaderboard."""

    path: str = "events.jsonl"

    @field_validator("path")
    @classmethod
    def _is_below(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith(("/", "~")) or ".." in parts or not path.isprintable() or "\\" in path:
            raise ValueError(f"{path!r} is no path below the leaderboard's folder")
        if any(part.startswith(".") for part in parts):
            raise ValueError(f"{path!r} is hidden")
        return path


class Jsonl:
    """Appends {"event": kind, "time": seconds since 1970, "fields": {...}} to a file."""

    def __init__(self, config: JsonlConfig) -> None:
        self._parts = PurePosixPath(config.path).parts

    @hookimpl
    def prunebench_track(self, event: Event, folder: Path) -> None:
        """Append a line; it is in the file when this returns. Links are not followed."""
        line = json.dumps({"event": event.kind, "time": time.time(), "fields": finite(event.fields)}, allow_nan=False)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder
        for part in self._parts[:-1]:
            path = path / part
            if path.is_symlink():
                raise OSError(f"{path} is a symbolic link")
            path.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path / self._parts[-1], flags, 0o666), "ab") as file:
            file.write(line.encode() + b"\n")


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
