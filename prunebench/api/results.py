"""What a run gave: what reports write from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Results:
    """What a run gave: what reports write from.

    Args:
        name: the benchmark's name.
        rows: the lines of results.jsonl.
        details: the lines of details.jsonl: curve and layers of each evaluated ticket, figures of each analysis.
        provenance: what provenance.json holds.
        artifact: the files of an artifact by its address, from the store of the run; None where results are read
            from a folder.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    details: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    artifact: Callable[[str], Mapping[str, bytes]] | None = None
