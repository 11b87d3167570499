"""How far a leaderboard is trusted: self-reported, or executed again, when and where."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prunebench.api.provenance import Provenance
from prunebench.api.report import escape
from prunebench.api.rows import Row
from prunebench.results.rows import rows_text

RECORD = "verification.json"


def verification_of(folder: Path, rows: Iterable[Row]) -> dict[str, Any] | None:
    """The record of a verification in a leaderboard's folder, if it is of these very results."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    digest = hashlib.sha256(rows_text(rows).encode()).hexdigest()
    same = isinstance(record, dict) and record.get("results") == digest
    return record if same else None


def tier(provenance: Provenance) -> str:
    """One line for the page: the tier, and what it rests on."""
    record = provenance.verification
    if not record:
        return "Tier: **self-reported**; `prunebench verify` with this folder runs it again."
    how = "bit for bit" if record["bit_equal"] else "within the registered tolerance, in another environment"
    entries = ", ".join(escape(str(name)) for name in record["entries"])
    where = f"{escape(str(record['hardware'].get('cpu', 'unknown processor')))}, torch {record['environment']['torch']}"
    return (
        f"Tier: **re-executed** on {escape(record['when'])} ({where}): {record['numbers']:,} numbers of {entries}, "
        f"{len(record['seeds'])} seeds, held {how}."
    )
