"""The outputs that results are read from: each is read, and its hashes checked, once."""

from __future__ import annotations

from prunebench.api.planning import Ref
from prunebench.engine.scheduler import Execution
from prunebench.store.store import Artifact, Store


class Outputs:
    """Artifacts of a plan that was carried out, kept once they were read."""

    def __init__(self, store: Store, execution: Execution) -> None:
        self._store, self._execution = store, execution
        self._read: dict[str, Artifact] = {}

    @property
    def environment(self) -> str:
        """The environment that the store counts as its own."""
        return self._store.environment.id

    def get(self, ref: Ref | None) -> Artifact | None:
        """An output; None where there is none to read, or where the phase that makes it failed.

        Raises:
            LostArtifact: it is gone or corrupt; it was set aside, and executing again makes it anew.
        """
        if ref is None or (self._execution.error_of(ref.key) is not None and not self._store.has(ref.address)):
            return None
        if ref.address not in self._read:
            self._read[ref.address] = self._store.get(ref.address)
        return self._read[ref.address]
