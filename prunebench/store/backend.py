"""What a store keeps its blobs in: seven calls, which a folder answers and an object store can.

A blob is bytes under a name such as "objects/ab/record.json": parts of letters, digits, "_", "-" and ".", with "/"
between them. A reader takes no lock: a blob is there whole or not at all.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Protocol

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


LARGEST_JSON = 2**28
"""Bytes of the largest record, marker or cached value that is read: larger ones are nobody's."""


def checked_blob_name(name: str) -> str:
    """The name of a blob, or a prefix of whole parts. Raises ValueError on one that is none."""
    if not _NAME.fullmatch(name) or name.endswith((".tmp", ".bad")):
        raise ValueError(f"{name!r} is not a blob's name")
    return name


class UnreadableError(Exception):
    """Something lies under the name that cannot be read as the blob: a bad sector, a device, another size."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Args:
        since: seconds since the epoch.
    """

    pid: int
    host: str
    since: float

    def to_json(self) -> dict[str, Any]:
        """For events and for the lease itself."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Holder | None:
        """Back from JSON; None where it is not a holder's."""
        try:
            return cls(int(data["pid"]), str(data["host"]), float(data["since"]))
        except (TypeError, KeyError, ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        since = datetime.datetime.fromtimestamp(self.since).isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host}, since {since}"


class Lease(Protocol):
    """The right to do something under a name, held by at most one. It ends with its holder, also on kill -9.

    Where a place has no locks it ends a while after its holder's last sign of life. A holder that was only slow may
    then return beside the next one, so whatever is written under a lease must be safe for that too.
    """

    def try_acquire(self) -> bool:
        """Take the lease if nobody holds it; never waits. True as well where this object holds it already."""
        ...

    def holder(self) -> Holder | None:
        """Who holds it or, once it is free, held it last; None where that is not known."""
        ...

    def release(self) -> None:
        """Give the lease back; nothing happens where it is not held."""
        ...

    def __enter__(self) -> Lease: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """Keeps blobs. Several processes, on several machines, may use one place at once.

    Raises, from every call: StoreError if the place cannot be read or written, with what to do about it. ValueError for
    a name that is not one.
    """

    @property
    def place(self) -> str:
        """Where it lies, as errors name it."""
        ...

    @property
    def distant(self) -> bool:
        """Whether a call is a journey, so that many are better made at once, and payloads kept nearby."""
        ...

    @property
    def leases_expire(self) -> bool:
        """Whether a lease may be taken over from a holder that still lives."""
        ...

    def read(self, name: str, size: int | None = None) -> bytes | None:
        """A blob; None where there is none. Never waits for a writer.

        Args:
            size: the bytes that it must have; what has another size is not read. Without it nothing is read that is
                larger than memory, nor a ".json" of more than LARGEST_JSON.
        Raises:
            UnreadableError: what is there is not such a blob.
        """
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob if there is none: of several writers one succeeds. False where there is one, which stays."""
        ...

    def replace(self, blobs: Mapping[str, bytes]) -> None:
        """Write blobs, each in place of what was there. All are durable on return; each appears whole."""
        ...

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of the blobs below a prefix of whole parts ("" for all), in no order.

        What was set aside, leases, and what a killed writer left are not listed. The size is -1 where something else
        than a blob lies under a name.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a blob, or all below a prefix; nothing happens where there is none."""
        ...

    def set_aside(self, name: str) -> str | None:
        """Move a blob, or all below a prefix, to where no reader looks; returns its new name, None for nothing."""
        ...

    def lease(self, name: str) -> Lease:
        """A lease, not yet taken. Names of leases and of blobs do not meet."""
        ...
