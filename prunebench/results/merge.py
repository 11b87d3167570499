"""Lay results of the same benchmark together: other seeds, other entries, other machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.results.details import DETAIL_IDENTITY, read_details
from prunebench.results.manifest import check_manifest
from prunebench.results.mixing import check_mixable
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import IDENTITY, read_rows


def read_results(folder: Path) -> Results:
    """A leaderboard's results, as they were recorded.

    Raises:
        PrunebenchError: not a leaderboard, or a file of it was edited.
    """
    wrong = check_manifest(folder)
    if wrong:
        raise PrunebenchError(f"{folder}: {'; '.join(wrong)}")
    provenance = read_provenance(folder)
    return Results(provenance["report"]["name"], read_rows(folder), read_details(folder), provenance)


def merged(results: Sequence[Results]) -> Results:
    """The rows of all, each measurement once.

    Raises:
        PrunebenchError: two of them differ in schema, component versions, profile, or a measurement; says in what.
    """
    first, *others = results
    for other in others:
        check_mixable(first, other)
    provenance = dict(first.provenance)
    for key in ("seeds", "entries"):
        provenance[key] = list(dict.fromkeys(value for one in results for value in one.provenance[key]))
    provenance["components"] = {k: v for one in results for k, v in one.provenance["components"].items()}
    provenance["wall_seconds"] = sum(one.provenance["wall_seconds"] for one in results)
    provenance["merged"] = [
        {key: one.provenance[key] for key in ("finished", "hardware", "environment", "seeds")} for one in results
    ]
    told = dict(provenance["report"])
    notes = [note for one in results for note in one.provenance["report"]["notes"]]
    told["notes"] = [*dict.fromkeys(notes), f"Merged from {len(results)} runs; provenance.json lists each."]
    provenance["report"] = told
    order = {name: index for index, name in enumerate(provenance["entries"])}
    rows = _once([row for one in results for row in one.rows], IDENTITY, order)
    details = _once([line for one in results for line in one.details], DETAIL_IDENTITY, order)
    return Results(first.name, rows, details, provenance)


def _once(
    lines: Sequence[Mapping[str, Any]], place: Sequence[str], order: Mapping[str, int]
) -> list[Mapping[str, Any]]:
    unique = {tuple(line.get(key) for key in place): line for line in lines}
    return sorted(unique.values(), key=lambda line: (order[line["entry"]], line["model"], line["data"], line["seed"]))
