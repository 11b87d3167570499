"""`verification.json`: what its author claims of a second run, and whether it can be of these results.

A record can be written by hand. What can be derived again is: that it is of these very bytes, and what it covers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import VerificationRecord
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.results.details import details_text
from prunebench.results.manifest import VERIFICATION
from prunebench.results.reading import content_of, parsed
from prunebench.results.rows import rows_text


def record_text(record: VerificationRecord) -> str:
    """The content of `verification.json`."""
    return json.dumps(record.to_json(), indent=2, sort_keys=True) + "\n"


def read_record(folder: Path) -> VerificationRecord | None:
    """The record in a leaderboard's folder; None if there is none. Raises PrunebenchError if it is damaged."""
    try:
        content = content_of(folder / VERIFICATION)
    except FileNotFoundError:
        return None
    return parsed(content, VerificationRecord.model_validate_json, str(folder / VERIFICATION))


def misfits(record: VerificationRecord, results: Results) -> list[str]:
    """Why a record cannot be of these results, a sentence each; empty if it can."""
    found = []
    if record.results != sha256_of_text(rows_text(results.rows)):
        found.append("it is of another results.jsonl")
    if record.details and record.details != sha256_of_text(details_text(results.details)):
        found.append("it is of another details.jsonl")
    known = {(entry, seed) for entry in results.provenance.entries for seed in results.provenance.seeds}
    unknown = sorted(record.covered - known)
    if unknown:
        found.append(f'it covers entry "{unknown[0][0]}" with seed {unknown[0][1]}, which there is not')
    there = numbers_of(record, results.rows)
    if record.numbers != there:
        found.append(f"it claims {record.numbers:,} numbers, and what it covers has {there:,}")
    return found


def record_of(folder: Path, results: Results) -> VerificationRecord | None:
    """The record in a leaderboard's folder, if there is one that can be of these results."""
    try:
        record = read_record(folder)
    except PrunebenchError:
        return None
    return None if record is None or misfits(record, results) else record


def numbers_of(record: VerificationRecord, rows: Sequence[Row]) -> int:
    """How many rows there are of what a record covers."""
    covered = record.covered
    return sum((row.entry, row.seed) in covered for row in rows)


def sha256_of_text(text: str) -> str:
    """The sha256 of a text's UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
