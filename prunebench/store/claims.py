"""Leases where the place itself has no locks: a claim that its holder renews, and that may be taken when it is not.

A claim is a small JSON object with a version that changes at every write (an object store's e-tag). Who finds none
makes one, create-only. Who finds one watches it: if its version has not changed for as long as its holder promised to
renew it, by the watcher's own clock, the watcher writes its claim in that place, only if the version is still the one
that it watched. No two clocks are compared.
A holder that was thought dead and returns finds another version, and knows that it has lost
the lease; until it looks, two may work at once, so what they write must be safe for that: records are create-only.

A claim that is given back stays, marked as free: it cannot be removed without the risk of removing the next holder's.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from prunebench.api.errors import StoreError
from prunebench.store.backend import Holder

LEASE_SECONDS = 30.0
"""How long a claim is good without a renewal; it is renewed three times as often."""

Version = TypeVar("Version")


class Versioned(Protocol[Version]):
    """Small blobs that are written only over a known version. Raises StoreError where the place cannot be reached."""

    def create(self, path: str, data: bytes) -> Version | None:
        """Write if there is none; the version, None where there is one."""
        ...

    def read(self, path: str) -> tuple[bytes, Version] | None:
        """The data with its version; None where there is none."""
        ...

    def update(self, path: str, data: bytes, version: Version) -> Version | None:
        """Write over this version; the new one, None where there is another version or none."""
        ...


class Watch(Generic[Version]):
    """Since when a process has seen each claim unchanged, whichever of its leases looked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, tuple[Version, float]] = {}

    def unchanged_for(self, path: str, version: Version) -> float:
        """Seconds since this version was first seen here, without another one since."""
        now = self._clock()
        known = self._since.get(path)
        if known is None or known[0] != version:
            self._since[path] = known = (version, now)
        return now - known[1]

    def forget(self, path: str) -> None:
        """Its claim is held here now, or was given back."""
        self._since.pop(path, None)


class ClaimLease(Generic[Version]):
    """A lease as a claim; see Lease. It may be taken by one thread and released by another.

    Args:
        seconds: how long the claim is good without a renewal. A claim says it of itself, so that holders may differ.
    """

    def __init__(
        self, blobs: Versioned[Version], path: str, watch: Watch[Version], seconds: float = LEASE_SECONDS
    ) -> None:
        self._blobs, self._path, self._watch, self._seconds = blobs, path, watch, seconds
        self._token = secrets.token_hex(8)
        self._beats = 0
        self._since = 0.0
        self._version: Version | None = None
        self._stop: threading.Event | None = None
        self._lock = threading.Lock()

    def try_acquire(self) -> bool:
        """See Lease.try_acquire. False too for a lease that was lost and is not yet given back."""
        if self._stop is not None:
            return self._version is not None
        self._since = time.time()
        version = self._blobs.create(self._path, self._claim(free=False))
        if version is None:
            found = self._blobs.read(self._path)
            if found is None:
                return False
            data, watched = found
            if not self._may_take(data, watched):
                return False
            version = self._blobs.update(self._path, self._claim(free=False), watched)
            if version is None:
                return False
        self._watch.forget(self._path)
        self._version, self._stop = version, threading.Event()
        threading.Thread(target=self._keep_renewing, args=(self._stop,), name="lease", daemon=True).start()
        return True

    def holder(self) -> Holder | None:
        """See Lease.holder."""
        with suppress(StoreError):
            found = self._blobs.read(self._path)
            if found is not None:
                return Holder.from_json(_parsed(found[0]).get("holder"))
        return None

    def release(self) -> None:
        """See Lease.release."""
        stop, self._stop = self._stop, None
        if stop is None:
            return
        stop.set()
        with self._lock:
            version, self._version = self._version, None
            if version is not None:
                # Where the place cannot be reached the claim runs out by itself.
                with suppress(StoreError):
                    self._blobs.update(self._path, self._claim(free=True), version)

    def _may_take(self, data: bytes, version: Version) -> bool:
        claim = _parsed(data)
        if claim.get("free") is True:
            return True
        seconds = claim.get("seconds")
        good = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else self._seconds
        return self._watch.unchanged_for(self._path, version) > good

    def _claim(self, *, free: bool) -> bytes:
        self._beats += 1
        holder = Holder(os.getpid(), socket.gethostname(), self._since)
        claim = {
            # Each write has other bytes: an e-tag may be a digest of them.
            "beat": f"{self._token}-{self._beats}",
            "free": free,
            "holder": holder.to_json(),
            "seconds": self._seconds,
        }
        return json.dumps(claim).encode()

    def renew(self) -> None:
        """A sign of life; finds out whether the lease was taken over. Nothing happens where it is not held."""
        # Not reached this time is no loss: it is renewed at the next, if nobody took it over meanwhile.
        with self._lock, suppress(StoreError):
            if self._version is not None:
                self._version = self._blobs.update(self._path, self._claim(free=False), self._version)

    def _keep_renewing(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds / 3) and self._version is not None:
            self.renew()

    def __enter__(self) -> ClaimLease[Version]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_free(claim: bytes) -> bool:
    """Whether a claim was given back."""
    return _parsed(claim).get("free") is True


def _parsed(data: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        claim = json.loads(data)
        if isinstance(claim, dict):
            return claim
    return {}
