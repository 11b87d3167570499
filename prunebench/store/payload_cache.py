"""Payloads of a distant store, kept on this machine by their hash and checked at every read."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from prunebench.api.errors import StoreError

GIB = 2**30

LIMIT_GIB = 20.0
"""How much is kept unless PRUNEBENCH_STORE_CACHE_GIB says otherwise."""


class PayloadCache:
    """Blobs by their sha256, of any number of stores. What does not have its hash is no hit, and goes.

    Nothing here is ever needed: what cannot be kept or read is fetched again, so errors of the disk are nobody's.

    Args:
        limit: bytes; the blobs longest unused go first.
    """

    def __init__(self, folder: Path, limit: int = int(LIMIT_GIB * GIB)) -> None:
        self._folder, self._limit = folder, limit
        self._unchecked = limit  # what is there from before is counted at the first write

    def get(self, sha256: str, size: int) -> bytes | None:
        """A blob with this hash and size; None where it is not kept."""
        path = self._path(sha256)
        with suppress(OSError):
            if path.stat().st_size == size:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() == sha256:
                    os.utime(path)
                    return data
            path.unlink()
        return None

    def put(self, sha256: str, data: bytes) -> None:
        """Keep a blob whose hash is known to be right."""
        if len(data) > self._limit:
            return
        path = self._path(sha256)
        temporary = path.with_name(f".{sha256}.{secrets.token_hex(4)}.tmp")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            self._unchecked += len(data)
            # A look at all of it takes a while; so much may be over the limit meanwhile.
            if self._unchecked > self._limit / 16:
                self._shrink()

    def _shrink(self) -> None:
        found = []
        for path in self._folder.glob("*/*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        size = sum(size for _, size, _ in found)
        for _, bytes_, path in sorted(found):
            if size <= self._limit:
                break
            with suppress(OSError):
                path.unlink()
                size -= bytes_
        self._unchecked = 0

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def cache_of_this_machine() -> PayloadCache | None:
    """In $PRUNEBENCH_STORE_CACHE, or a folder in the user's cache; None for "off".

    Raises:
        StoreError: PRUNEBENCH_STORE_CACHE_GIB is no number.
    """
    import platformdirs

    place = os.environ.get("PRUNEBENCH_STORE_CACHE") or str(
        Path(platformdirs.user_cache_dir("prunebench")) / "payloads"
    )
    size = os.environ.get("PRUNEBENCH_STORE_CACHE_GIB") or str(LIMIT_GIB)
    try:
        limit = int(float(size) * GIB)
    except (ValueError, OverflowError):
        raise StoreError(f"PRUNEBENCH_STORE_CACHE_GIB: {size!r} is not a number of GiB, such as 20.") from None
    return None if place == "off" or limit <= 0 else PayloadCache(Path(place), limit)
