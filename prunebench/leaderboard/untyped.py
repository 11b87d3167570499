"""Results as the plain JSON that the tables and pictures read by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.api import results as typed

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """The rows, details and provenance of a leaderboard, a mapping each."""

    name: str
    rows: Sequence[Row]
    details: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]


def untyped(results: typed.Results) -> Results:
    """The same results without their types."""
    rows, details = ([line.to_json() for line in lines] for lines in (results.rows, results.details))
    return Results(results.name, rows, details, results.provenance.model_dump(mode="json", by_alias=True))
