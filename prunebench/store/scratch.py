"""What may be lost: checkpoints, of one environment each, and cached answers of probes."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from prunebench.store.backend import Backend, UnreadableError
from prunebench.store.records import as_read, seal, unseal

_SEAL = 65
"""Bytes before a checkpoint's data: its sha256 in hex, and a line break."""


class Checkpoints:
    """Blobs by name, replaced as training goes on."""

    def __init__(self, backend: Backend, environment: str) -> None:
        # by environment: a checkpoint resumed elsewhere would mix lineages unseen
        self._backend, self._folder = backend, f"scratch/{environment}"

    def put(self, name: str, data: bytes) -> None:
        """Keep or replace a checkpoint."""
        place = self._place(name)
        self._backend.replace({place: b"".join((_sealed(place, data), data))})

    def get(self, name: str) -> bytes | None:
        """A checkpoint, its hash verified; None where there is none or it was corrupt, which is set aside."""
        place = self._place(name)
        for _ in range(2):  # another process may just be replacing it
            with suppress(UnreadableError):
                content = self._backend.read(place)
                if content is None:
                    return None
                data = content[_SEAL:]
                if content[:_SEAL] == _sealed(place, data):
                    return data
        self._backend.set_aside(place)
        return None

    def drop(self, name: str) -> None:
        """Remove a checkpoint; nothing happens where there is none."""
        self._backend.remove(self._place(name))

    def _place(self, name: str) -> str:
        return f"{self._folder}/{hashlib.sha256(name.encode()).hexdigest()}"


class CachedJson:
    """JSON values by name, for all environments."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def put(self, name: str, value: Any) -> None:
        """Keep or replace a value. Raises ValueError if it is not JSON."""
        self._backend.replace({_cache(name): seal(as_read({"name": name, "value": value}))})

    def get(self, name: str) -> Any | None:
        """A value; None where there is none or it is corrupt."""
        with suppress(UnreadableError):
            data = self._backend.read(_cache(name))
            kept = None if data is None else unseal(data)
            return kept["value"] if isinstance(kept, dict) and kept.get("name") == name else None
        return None


def _cache(name: str) -> str:
    return f"cache/{hashlib.sha256(name.encode()).hexdigest()}.json"


def _sealed(place: str, data: bytes) -> bytes:
    # its place is sealed too, so a swap is found
    sha256 = hashlib.sha256("/".join(place.split("/")[-2:]).encode())
    sha256.update(data)
    return sha256.hexdigest().encode() + b"\n"
