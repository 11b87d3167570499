"""What makes a place a store: a marker with the format, written before anything else."""

from __future__ import annotations

import json

from prunebench.api.errors import StoreError
from prunebench.api.keys import canonical
from prunebench.store.backend import Backend, UnreadableError

FORMAT = 1

MARKER = "prunebench-store.json"


def is_store(backend: Backend) -> bool:
    """Whether a place is marked as a store; False where one may be made.

    Raises:
        StoreError: it holds something else, or a store of another format.
    """
    place, marker = backend.place, _marker(backend)
    if marker is None:
        foreign = next((name for name, _ in backend.list("") if name != MARKER), None)
        # The marker comes first: what is there may belong to a store that another process has begun meanwhile.
        marker = None if foreign is None else _marker(backend)
        if marker is None and foreign is not None:
            raise StoreError(
                f"{place}: not a prunebench store: it holds {foreign!r} and no {MARKER}. "
                "Name an empty or a new folder with --store."
            )
    if marker is None:
        return False
    try:
        known = json.loads(marker)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreError(
            f'{place}: {MARKER} is damaged. Write {{"format": {FORMAT}}} into it if this is a prunebench store.'
        ) from None
    if known != FORMAT:
        raise StoreError(
            f"{place}: a store of format {known}; this prunebench knows format {FORMAT}. "
            "Use the prunebench that made it, or name another folder with --store."
        )
    return True


def claim(backend: Backend) -> None:
    """Make a place a store before the first write. Raises StoreError as `is_store` does."""
    if not is_store(backend):
        backend.create(MARKER, canonical({"format": FORMAT}).encode())


def _marker(backend: Backend) -> bytes | None:
    try:
        return backend.read(MARKER)
    except UnreadableError as error:
        raise StoreError(f"{backend.place}: {MARKER} cannot be read: {error}. Remove it and run again.") from None
