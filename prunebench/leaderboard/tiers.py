"""How far a leaderboard is trusted: self-reported, and what a record beside it claims of a second run."""

from __future__ import annotations

from prunebench.api.provenance import Provenance, VerificationRecord
from prunebench.api.report import escape


def tier(provenance: Provenance) -> str:
    """One line for the page: the tier, and what a record claims. A folder cannot prove a second run."""
    record = provenance.verification
    if record is None:
        return "Tier: **self-reported**; `prunebench verify` with this folder runs it again."
    return (
        f"Tier: **self-reported**. {escape(claim(provenance, record))} That is its author's word: a record proves "
        "nothing by itself. `prunebench verify` with this folder runs it again."
    )


def claim(provenance: Provenance, record: VerificationRecord) -> str:
    """What a record claims, with what it covers, in a sentence."""
    cells = len(provenance.entries) * len(provenance.seeds)
    entries = {entry for entry, _ in record.covered}
    part = f"{len(record.covered)} of {cells} pairs of entry and seed"
    drawn = ", drawn at random" if record.drawn else ""
    if len(record.covered) == cells:
        part, drawn = "every entry and seed", ""
    elif len(entries) < len(provenance.entries):
        part += f", {len(entries)} of {len(provenance.entries)} entries"
    how = "bit for bit" if record.bit_equal else "within the registered tolerance, in another environment"
    where = f"{record.hardware.get('cpu') or 'unknown processor'}, torch {record.environment.get('torch', 'unknown')}"
    return (
        f"verification.json claims that {record.numbers:,} numbers ({part}{drawn}) held {how} in a second run on "
        f"{record.when} ({where})."
    )
