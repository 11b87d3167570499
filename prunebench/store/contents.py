"""What a store keeps, from its listing alone: no record and no payload is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prunebench.store.backend import Backend
from prunebench.store.copies import RECORD, is_address, is_lineage


@dataclass(frozen=True)
class KeptCopy:
    """A copy of an artifact as it is listed.

    Args:
        recorded: whether there is a record; without one it is what a writer has not finished.
        files: bytes by name of what there is of its payload.
    """

    address: str
    lineage: str
    recorded: bool
    files: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes of its payload."""
        return sum(self.files.values())


@dataclass(frozen=True)
class Amount:
    """How many, and how many bytes they have."""

    count: int = 0
    size: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"count": self.count, "bytes": self.size}


@dataclass(frozen=True)
class Contents:
    """All that a store keeps.

    Args:
        copies: of artifacts, by address and lineage.
        other: bytes that are nothing of this store's.
    """

    copies: tuple[KeptCopy, ...]
    records: Amount
    checkpoints: Amount
    cached: Amount
    other: Amount

    def payloads(self, copies: Iterable[KeptCopy] | None = None) -> Amount:
        """The payloads of some copies; of all by default."""
        kept = [copy for copy in (self.copies if copies is None else copies) if copy.recorded and copy.files]
        return Amount(len(kept), sum(copy.size for copy in kept))

    @property
    def unfinished(self) -> Amount:
        """What has no record: a writer is at work on it, or was killed."""
        left = [copy for copy in self.copies if not copy.recorded]
        return Amount(len(left), sum(copy.size for copy in left))

    @property
    def dropped(self) -> int:
        """How many copies are a record alone."""
        return sum(copy.recorded and not copy.files for copy in self.copies)

    def by_lineage(self) -> dict[str, Amount]:
        """Payloads by the lineage that made them."""
        lineages = sorted({copy.lineage for copy in self.copies})
        return {name: self.payloads(copy for copy in self.copies if copy.lineage == name) for name in lineages}


@dataclass
class _Sum:
    sizes: list[int] = field(default_factory=list)

    def amount(self) -> Amount:
        return Amount(len(self.sizes), sum(max(size, 0) for size in self.sizes))


def contents_of(backend: Backend) -> Contents:
    """What a backend lists."""
    payloads: dict[tuple[str, str], dict[str, int]] = {}
    recorded: set[tuple[str, str]] = set()
    records, checkpoints, cached, other = _Sum(), _Sum(), _Sum(), _Sum()
    for name, size in backend.list(""):
        kind, *rest = name.split("/")
        if kind == "objects" and len(rest) == 4 and is_address(rest[1]) and is_lineage(rest[2]):
            place = (rest[1], rest[2])
            payloads.setdefault(place, {})
            if rest[3] == RECORD:
                recorded.add(place)
                records.sizes.append(size)
            else:
                payloads[place][rest[3]] = max(size, 0)
        else:
            {"scratch": checkpoints, "cache": cached}.get(kind, other).sizes.append(size)
    copies = (KeptCopy(*place, place in recorded, files) for place, files in sorted(payloads.items()))
    return Contents(tuple(copies), *(sum_.amount() for sum_ in (records, checkpoints, cached, other)))
