"""Taking turns: a lease that somebody else has is waited for, for a while, and then its holder is named."""

from __future__ import annotations

import time

from prunebench.api.errors import StoreError
from prunebench.store.backend import Lease

WRITER_SECONDS = 120.0
"""How long another writer of the same thing is waited for. The lease of a phase keeps its writers apart before they
come here, so this is waited out only where one was stopped in the middle of writing."""


def wait_for(lease: Lease, what: str) -> None:
    """Take a lease on writing something. Raises StoreError, which names its holder, after WRITER_SECONDS."""
    deadline, pause = time.monotonic() + WRITER_SECONDS, 0.001
    while not lease.try_acquire():
        if time.monotonic() > deadline:
            raise StoreError(
                f"{what} is being written by {lease.holder() or 'another process'}, for more than "
                f"{WRITER_SECONDS:.0f} s. Let that process go on, or end it, and run again."
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
