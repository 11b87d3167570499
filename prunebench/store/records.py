"""Records: what a store says of an artifact, sealed so that a changed byte is found. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prunebench.api.keys import canonical, digest

_BEFORE, _BETWEEN, _AFTER = b'{"content":', b',"sha256":"', b'"}\n'
_TAIL = len(_BETWEEN) + 64 + len(_AFTER)


@dataclass(frozen=True)
class Record:
    """What is kept of an artifact beside its payload.

    Args:
        address: 64 hex digits.
        sizes: bytes of each file of the payload.
        digests: sha256 of each file, in hex.
        meta: JSON.
        lineage: sorted environment ids of this artifact and all its ancestors.
        parents: addresses of the artifacts that it was computed from.
        environment: the fields of the environment that it was made in.
    """

    address: str
    sizes: Mapping[str, int]
    digests: Mapping[str, str]
    meta: dict[str, Any]
    lineage: tuple[str, ...]
    parents: tuple[str, ...]
    environment: Mapping[str, str | int]

    def sealed(self) -> bytes:
        """The record as it is stored. Raises ValueError where `meta` is not JSON or has a NaN."""
        return seal(
            {
                "address": self.address,
                "environment": dict(self.environment),
                "files": {name: {"sha256": self.digests[name], "size": self.sizes[name]} for name in self.sizes},
                "lineage": list(self.lineage),
                "meta": self.meta,
                "parents": list(self.parents),
            }
        )

    @classmethod
    def opened(cls, data: bytes) -> Record | None:
        """Back from `sealed`; None if a single byte differs."""
        value: Any = unseal(data)
        try:
            files = value["files"]
            return cls(
                address=value["address"],
                sizes={name: entry["size"] for name, entry in files.items()},
                digests={name: entry["sha256"] for name, entry in files.items()},
                meta=value["meta"],
                lineage=tuple(value["lineage"]),
                parents=tuple(value["parents"]),
                environment=value["environment"],
            )
        except (TypeError, KeyError, AttributeError):
            return None


def lineage_name(lineage: Iterable[str]) -> str:
    """A short name for a lineage: the environment's id where there is one alone."""
    ids = sorted(lineage)
    return ids[0] if len(ids) == 1 else f"mixed-{digest(ids)[:16]}"


def as_read(value: Any) -> Any:
    """A value as JSON gives it back: tuples are lists, keys are strings. Raises ValueError on NaN."""
    return json.loads(canonical(value))


def seal(value: Any) -> bytes:
    """JSON with its own digest."""
    return _sealed(canonical(value).encode())


def unseal(data: bytes) -> Any | None:
    """The sealed value; None if a single byte differs."""
    content = data[len(_BEFORE) : -_TAIL]
    # The digest is of the bytes as they lie there, so nothing is written again to be compared: a plan reads 10^5.
    if _sealed(content) != data:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _sealed(content: bytes) -> bytes:
    return b"".join((_BEFORE, content, _BETWEEN, hashlib.sha256(content).hexdigest().encode(), _AFTER))
