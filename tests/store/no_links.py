"""A folder of a file system that knows no hard links, for other processes too."""

from __future__ import annotations

import errno
import os

from prunebench.store import folder
from prunebench.store.folder import FolderBackend


def opened(place: str) -> FolderBackend:
    """The backend of a place; from now on no file of this process gets a second name."""
    folder._linked = _refused
    return FolderBackend(place)


def _refused(temporary: str, path: str) -> bool | None:
    real, os.link = os.link, _no_link
    try:
        return LINKED(temporary, path)
    finally:
        os.link = real


def _no_link(*paths: str, **options: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


LINKED = folder._linked
