"""Rows, tickets and lists in the words of a finding."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench.api.details import Detail, EvaluationDetail
from prunebench.api.rows import Row, TrialId

EXAMPLES = 3
"""How many of several a finding names."""

_LONGEST = 200


def ticket_text(trial: TrialId, round: int | None, draw: int) -> str:
    """Which ticket."""
    entry, model, data, seed = trial
    place = "" if round is None else f", round {round}"
    return f'entry "{entry}", {model}, {data}, seed {seed}{place}' + (f", draw {draw}" if draw else "")


def row_text(row: Row) -> str:
    """Which measurement."""
    return f"{ticket_text(row.trial, row.round, row.draw)}, {row.name}" + (
        f" at {row.position}" if row.position else ""
    )


def detail_text(detail: Detail) -> str:
    """Which ticket or analysis."""
    if isinstance(detail, EvaluationDetail):
        return ticket_text(trial_of(detail), detail.round, detail.draw)
    return f"{ticket_text(trial_of(detail), None, 0)}, {detail.analysis}"


def trial_of(detail: Detail) -> TrialId:
    """The trial that a detail is of."""
    return detail.entry, detail.model, detail.data, detail.seed


def value_text(value: object) -> str:
    """A value of a file, cut to a readable length."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def listed(heading: str, what: Iterable[str]) -> Iterable[str]:
    """One sentence that counts what was found and names the first; none where there is nothing."""
    known = list(dict.fromkeys(what))
    if known:
        more = f"; and {len(known) - EXAMPLES:,} more" if len(known) > EXAMPLES else ""
        yield f"{heading} ({len(known):,}): {'; '.join(known[:EXAMPLES])}{more}"
