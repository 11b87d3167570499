"""The place that a store is named by, and the backend that keeps it."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.errors import StoreError
from prunebench.store.backend import Backend
from prunebench.store.credentials import SCHEMES, scheme_of
from prunebench.store.folder import FolderBackend


def place_of(text: str) -> Path | str:
    """What a user wrote for a store: a folder's path, with `~` for the home folder, or a URL, which stays as it is."""
    if scheme_of(text) is not None:
        return text
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise StoreError(f"{text}: no home folder is known for it") from None


def backend_of(place: Path | str) -> Backend:
    """The backend of a folder's path, or of a URL such as "s3://bucket/path".

    Raises:
        StoreError: a scheme that is not known, an extra that is missing, no credentials, or a file in a folder's place.
    """
    if isinstance(place, Path):
        return FolderBackend(place)
    scheme = scheme_of(place)
    if scheme is None:
        return FolderBackend(place)
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://BUCKET/PATH" for name in SCHEMES)
        raise StoreError(f"{place}: a store is a folder, or one of {known}.")
    if not place.partition("://")[2].strip("/"):
        raise StoreError(f"{place}: names no bucket. Write {scheme}://BUCKET/PATH.")
    from prunebench.store.objects import ObjectBackend

    return ObjectBackend(place)
