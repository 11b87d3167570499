"""A folder that is used as one of a network file system is, for other processes too."""

from __future__ import annotations

import os

from prunebench.store.folder import FolderBackend


def opened(place: str) -> FolderBackend:
    """The backend of a place, with leases by heartbeat."""
    return FolderBackend(place, leases="heartbeat", lease_seconds=float(os.environ["PRUNEBENCH_TEST_LEASE_SECONDS"]))
