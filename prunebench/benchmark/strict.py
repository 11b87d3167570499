"""The base of every table of a benchmark file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictTable(BaseModel):
    """A table of the file: frozen, unknown keys forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
