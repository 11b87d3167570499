"""Where numbers are made: the fingerprint under which artifacts are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunebench.api.keys import digest


@dataclass(frozen=True)
class Environment:
    """Where numbers are made: torch version, device, threads, instruction set and whatever else can change a bit."""

    fields: Mapping[str, str | int]

    @property
    def id(self) -> str:
        """The fingerprint: 16 hex digits of the fields' digest, whatever their order."""
        return digest(dict(self.fields))[:16]
