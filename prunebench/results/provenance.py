"""`provenance.json`: where the numbers of a leaderboard come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebench.api.errors import PrunebenchError

PROVENANCE = "provenance.json"

FIRST_SCHEMA = 1

SCHEMA = 1
"""Of a leaderboard's folder; raised whenever a field changes its meaning. Folders without one are of the first."""


def write_provenance(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write `provenance.json`, sorted, so that two equal runs differ only where they do."""
    text = json.dumps({**provenance, "schema": SCHEMA}, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)
    (folder / PROVENANCE).write_text(text + "\n", encoding="utf-8", newline="\n")


def read_provenance(folder: Path) -> dict[str, Any]:
    """The provenance of a leaderboard.

    Raises: PrunebenchError if the folder has none, a damaged one, or one of a newer prunebench.
    """
    path = Path(folder) / PROVENANCE
    try:
        provenance = json.loads(path.read_bytes())
    except OSError as error:
        raise PrunebenchError(
            f"{folder}: not a leaderboard: {PROVENANCE} cannot be read ({error.strerror})."
        ) from error
    except ValueError as error:
        raise PrunebenchError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(provenance, dict):
        raise PrunebenchError(f"{path}: damaged: not an object")
    schema = provenance.get("schema", FIRST_SCHEMA)
    if schema not in range(FIRST_SCHEMA, SCHEMA + 1):
        raise PrunebenchError(
            f"{path}: written with schema {schema}, and this prunebench reads up to {SCHEMA}. Install a newer one."
        )
    return provenance
