"""Whether every ticket that the file judges has its numbers, each once, and nothing else has any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeAlias

from prunebench.api.cost_share import COSTS, CostShare
from prunebench.api.details import EvaluationDetail
from prunebench.api.planning import Evaluation
from prunebench.api.results import Results
from prunebench.api.rows import Row, TrialId
from prunebench.plan.trial import Plan, Trial
from prunebench.results.merge import detail_identity
from prunebench.verification.audit.wording import detail_text, listed, row_text, ticket_text, trial_of

Ticket: TypeAlias = tuple[TrialId, int | None, int]
"""(trial, round, draw)."""


def other_tickets(results: Results, plan: Plan) -> Iterator[str]:
    """What is missing, repeated or foreign, a sentence each."""
    yield from listed("measurements on more than one line", _repeated((_what(r), row_text(r)) for r in results.rows))
    details = ((detail_identity(line), detail_text(line)) for line in results.details)
    yield from listed("details on more than one line", _repeated(details))
    planned: dict[Ticket, Evaluation] = {
        (_trial(trial), evaluation.round, evaluation.draw): evaluation
        for trial in plan.trials
        for evaluation in trial.evaluations
    }
    yield from _numbers(results, plan, planned)
    other = _of_other_keys(results, plan, planned)
    yield from listed("rows with a key that this version does not plan for them", other)
    asked = _of_other_shares(results, planned)
    yield from listed("rows that state another share of a cost than the file asks for", asked)
    there = {(trial_of(d), d.round, d.draw) for d in results.details if isinstance(d, EvaluationDetail)}
    lacking = (ticket_text(*ticket) for ticket in planned if ticket not in there)
    yield from listed("tickets of the file without a line in details.jsonl", lacking)
    foreign = sorted(ticket_text(*ticket) for ticket in there if ticket not in planned)
    yield from listed("lines of details.jsonl of tickets that the file does not judge", foreign)
    yield from listed("numbers that do not stand in the curves of their tickets", _beside_curves(results))


def _repeated(lines: Iterable[tuple[Hashable, str]]) -> list[str]:
    known = list(lines)
    counts = Counter(identity for identity, _ in known)
    return [text for identity, text in known if counts[identity] > 1]


def _numbers(results: Results, plan: Plan, planned: Mapping[Ticket, Evaluation]) -> Iterator[str]:
    judged = [row for row in results.rows if row.role == "evaluate"]
    names = sorted({row.name for row in judged if _is_of_curve(row)})
    there = {(_ticket(row), row.name) for row in judged}
    lacking = [f"{ticket_text(*ticket)}: {name}" for ticket in planned for name in names if (ticket, name) not in there]
    if planned and not names:
        lacking = [ticket_text(*ticket) for ticket in planned]
    yield from listed("numbers of the file's tickets that results.jsonl lacks", lacking)
    foreign = (row_text(row) for row in judged if _ticket(row) not in planned)
    yield from listed("numbers of tickets that the file does not judge", foreign)
    trials = {_trial(trial) for trial in plan.trials}
    trials |= {(out.entry, out.model, out.data, seed) for out in plan.left_out for seed in out.seeds}
    elsewhere = (row_text(row) for row in results.rows if row.role != "evaluate" and row.trial not in trials)
    yield from listed("numbers of trials that the file does not have", elsewhere)
    found = {row.trial for row in results.rows}
    absent = (ticket_text(trial, None, 0) for trial in sorted(trials) if trial not in found)
    yield from listed("trials of the file without any number", absent)


def _of_other_keys(results: Results, plan: Plan, planned: Mapping[Ticket, Evaluation]) -> Iterator[str]:
    """Rows that were made by another version, or not by this file."""
    analyses = {(_trial(trial), ref.key) for trial in plan.trials for _, ref in trial.analyses}
    for row in results.rows:
        ticket = planned.get(_ticket(row)) if row.role == "evaluate" else None
        other = ticket is not None and row.key != ticket.run.key
        if other or (row.role == "analyse" and (row.trial, row.key) not in analyses):
            yield row_text(row)


def _of_other_shares(results: Results, planned: Mapping[Ticket, Evaluation]) -> Iterator[str]:
    """Rows by which a ticket would count as being at a place that its mask was not cut to."""
    for row in results.rows:
        ticket = planned.get(_ticket(row)) if row.role == "evaluate" else None
        count = None if ticket is None else ticket.run.ticket.count
        wanted = {count.of: count.share} if isinstance(count, CostShare) else {}
        if {of: share for of in COSTS if (share := getattr(row, f"asked_{of}")) is not None} != wanted:
            yield row_text(row)


def _beside_curves(results: Results) -> Iterator[str]:
    curves = {
        (trial_of(detail), detail.round, detail.draw, f"{point.iteration}it"): point.values
        for detail in results.details
        if isinstance(detail, EvaluationDetail)
        for point in detail.curve
    }
    for row in results.rows:
        if row.role == "evaluate" and row.value is not None and _is_of_curve(row) and row.round is not None:
            values = curves.get((row.trial, row.round, row.draw, row.position), {})
            if values.get(row.name) != row.value:
                yield row_text(row)


def _is_of_curve(row: Row) -> bool:
    """Whether a row states a point of its run's curve, and not which of its points is the best."""
    return not row.metric.startswith("early_stop_")


def _what(row: Row) -> Hashable:
    # Early stopping stops once: two rows of it at two positions are of one measurement.
    return row.identity if _is_of_curve(row) else (*row.run, row.role, row.metric, row.split)


def _ticket(row: Row) -> Ticket:
    return row.trial, row.round, row.draw


def _trial(trial: Trial) -> TrialId:
    return trial.entry, trial.model, trial.data, trial.seed
