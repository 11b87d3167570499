"""The outputs that results are read from: records first, payloads only where they are looked at, each checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from pydantic_core import from_json

from prunebench.api.errors import LostArtifact
from prunebench.api.planning import Ref
from prunebench.engine.scheduler import Execution
from prunebench.store.store import Record, Store


class Output:
    """An output as its record tells of it; its files are read when they are asked for.

    Attributes:
        meta: JSON.
        lineage: sorted environment ids of the artifact and all its ancestors.
    """

    def __init__(self, store: Store, record: Record) -> None:
        self._store, self._record = store, record
        self.meta: dict[str, Any] = record.meta
        self.lineage = record.lineage

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Payload by file name, every hash verified.

        Raises:
            LostArtifact: it is gone or corrupt; it was set aside, and executing again makes it anew.
        """
        return self._store.files(self._record)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """Of a curve its points, each an "iteration" and a number, or None, by "SPLIT/METRIC". Raises as `files`."""
        points: list[dict[str, Any]] = from_json(self.files["curve.json"])["points"]
        return points


class Outputs:
    """Outputs of a plan that was carried out, kept once they were looked at.

    Args:
        records: what the store has just said of some of them, by address.
    """

    def __init__(self, store: Store, execution: Execution, records: Mapping[str, Record] | None = None) -> None:
        self._store, self._execution = store, execution
        self._known = {address: Output(store, record) for address, record in (records or {}).items()}

    @property
    def environment(self) -> str:
        """The environment that the store counts as its own."""
        return self._store.environment.id

    def get(self, ref: Ref | None) -> Output | None:
        """An output; None where there is none to read, or where the phase that makes it failed.

        Raises:
            LostArtifact: it is gone, or its record is corrupt; executing again makes it anew.
        """
        if ref is None or (self._execution.error_of(ref.key) is not None and not self._store.has(ref.address)):
            return None
        if ref.address not in self._known:
            self._known[ref.address] = Output(self._store, self._store.meta(ref.address))
        return self._known[ref.address]

    def lost(self, refs: Iterable[Ref]) -> list[LostArtifact]:
        """Reads all of these outputs; the errors of those that are gone or corrupt, which are set aside."""
        errors = []
        for ref in dict.fromkeys(refs):
            try:
                output = self.get(ref)
                if output is not None:
                    output.files  # noqa: B018 (reading it is the point)
            except LostArtifact as error:
                errors.append(error)
        return errors
