"""Leases of a folder on a network file system: a file that its holder touches, and that may be taken when it does not.

By filelock's `SoftFileLease`: a contender times by its own clock how long the file has not changed; a dead holder on
the same machine is found at once. As with any lease that expires, a holder that was only slow may return beside the
next.
"""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from prunebench.api.errors import StoreError
from prunebench.store.backend import Holder

if TYPE_CHECKING:
    from filelock import SoftFileLease


class NetworkFileLease:
    """See Lease. It may be taken by one thread and released by another.

    Args:
        watched: by path, what has watched a holder's file in vain so far: a backend's leases go on from there.
        seconds: how long a lease outlives the last sign of its holder. All who use a store must agree on it.
    """

    def __init__(self, path: str, watched: dict[str, SoftFileLease], seconds: float) -> None:
        self._path, self._watched, self._seconds = path, watched, seconds
        self._held: SoftFileLease | None = None

    def try_acquire(self) -> bool:
        """See Lease.try_acquire. False too for a lease that was lost and is not yet given back."""
        from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

        if self._held is not None:
            return self._held.compromise is None
        lock = self._watched.pop(self._path, None)
        if lock is None:
            lock = SoftFileLease(self._path, lease_duration=self._seconds, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            self._watched.setdefault(self._path, lock)
            return False
        except LeaseSettingsMismatch as error:
            raise StoreError(f"{self._path}: {error}. Give all who use the store the same version.") from None
        self._held = lock
        return True

    def holder(self) -> Holder | None:
        """See Lease.holder. `since` is when it last gave a sign of life, by the server's clock."""
        from filelock import SoftFileLease

        owner = SoftFileLease(self._path, lease_duration=self._seconds).owner
        with suppress(OSError):
            if owner is not None:
                return Holder(owner.pid, owner.hostname, os.stat(self._path).st_mtime)
        return None

    def release(self) -> None:
        """See Lease.release."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(OSError):
                held.release()

    def __enter__(self) -> NetworkFileLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
