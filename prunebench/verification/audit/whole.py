"""A leaderboard held against its benchmark file and against itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.benchmark import load as config
from prunebench.leaderboard import board_of
from prunebench.results.merge import merged_note
from prunebench.runner.preparing import Prepared
from prunebench.runner.provenance import notes
from prunebench.runner.publishing import completed, render
from prunebench.verification.audit.counts import other_counts
from prunebench.verification.audit.details import other_details
from prunebench.verification.audit.environments import other_environments
from prunebench.verification.audit.facts import other_facts
from prunebench.verification.audit.files import other_files, unproven_files
from prunebench.verification.audit.order import other_order
from prunebench.verification.audit.stated import lacking_of_provenance, left_out
from prunebench.verification.audit.terms import other_terms, unusual_terms
from prunebench.verification.audit.tickets import other_tickets

UNCHECKED = "hardware, wall time, date and counts of work are its author's word"

UNCHECKED_ORIGINS = "which of the merged runs made which number, when and where, is its author's word"


@dataclass(frozen=True)
class Audit:
    """What was found without training anything.

    Args:
        findings: what makes it not hold, a sentence each.
        remarks: what nothing can derive, or what its reader should know.
    """

    findings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def audit(folder: Path, results: Results, prepared: Prepared) -> Audit:
    """Hold a leaderboard against its benchmark file and against itself.

    Args:
        prepared: the plan of the whole file, with the recorded profile, settings and seeds.
    """
    provenance, benchmark = results.provenance, prepared.benchmark
    seeds = _seeds_of(prepared)
    derived = _derived_notes(results, prepared)
    findings = [*contradicted(results, prepared, seeds)]
    if findings:  # of what is not of the file no page need be made, nor can it always be
        return Audit(tuple(findings), (UNCHECKED,))
    results = completed(folder, results)
    with tempfile.TemporaryDirectory(prefix="prunebench-audit-") as scratch:
        made = Path(scratch)
        try:
            render(made, results, board_of(results))
        except PrunebenchError as error:
            return Audit((f"no page can be made of the results: {error}",), (UNCHECKED,))
        findings = [*other_files(folder, results, made)]
        remarks = [
            *unusual_terms(provenance, benchmark, seeds),
            *left_out(results),
            *(f"a note that nothing derives: {note}" for note in provenance.report.notes if note not in derived),
            *unproven_files(folder, results, made),
            UNCHECKED,
            *([UNCHECKED_ORIGINS] if provenance.merged else []),
        ]
    return Audit(tuple(findings), tuple(remarks))


def contradicted(results: Results, prepared: Prepared, seeds: Sequence[int]) -> Iterator[str]:
    """What the results lack, or state against their benchmark file, a sentence each; no file of a folder is looked at.

    Args:
        seeds: those of the file itself.
    """
    benchmark, plan = prepared.benchmark, prepared.plan
    yield from other_terms(results, benchmark, seeds)
    yield from lacking_of_provenance(results.provenance, benchmark)
    yield from other_tickets(results, plan)
    yield from other_details(results, plan)
    yield from other_facts(results, plan)
    yield from other_order(results, plan)
    yield from other_counts(results, plan)
    yield from other_environments(results, prepared.open_store().environment.fields)
    noted = results.provenance.report.notes
    yield from (f'the note "{note}" is missing' for note in _derived_notes(results, prepared) if note not in noted)


def _seeds_of(prepared: Prepared) -> Sequence[int]:
    """The seeds of the file itself; the plan is of the recorded ones."""
    options = prepared.options
    catalogue = prepared.benchmark.catalogue
    return config.load(options.file, catalogue, profile=options.profile, settings=options.settings).seeds


def _derived_notes(results: Results, prepared: Prepared) -> list[str]:
    derived = notes(prepared, results.rows, {})
    merged = len(results.provenance.merged)
    return [*derived, merged_note(merged)] if merged else derived
