"""Whether every ticket that the file judges has its numbers, each once, and nothing else has any."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeAlias

from prunebench.api.cost_share import COSTS, CostShare
from prunebench.api.details import AnalysisDetail, EvaluationDetail
from prunebench.api.planning import Evaluation
from prunebench.api.results import Results
from prunebench.api.rows import Outcome, Row, TrialId
from prunebench.api.task import EARLY_STOP
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan, Trial
from prunebench.results.details import DETAILS
from prunebench.results.measured_rows import rows_of_left_out
from prunebench.results.merge import detail_identity
from prunebench.results.rows import RESULTS
from prunebench.runner.provenance import FAILED
from prunebench.verification.audit.wording import detail_text, listed, row_text, ticket_text, trial_of

Ticket: TypeAlias = tuple[TrialId, int | None, int]
"""(trial, round, draw)."""

Planned: TypeAlias = Mapping[Ticket, tuple[Trial, Evaluation]]
"""The tickets that a file judges."""

BROKEN: tuple[Outcome, ...] = ("failed", "diverged")
"""Outcomes of runs that have no numbers."""


def other_tickets(results: Results, plan: Plan) -> Iterator[str]:
    """What is missing, repeated or foreign, a sentence each."""
    yield from listed("measurements on more than one line", _repeated((_what(r), row_text(r)) for r in results.rows))
    details = ((detail_identity(line), detail_text(line)) for line in results.details)
    yield from listed("details on more than one line", _repeated(details))
    planned = planned_tickets(plan)
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
    yield from _analyses(results, plan)
    yield from listed("numbers that do not stand in the curves of their tickets", _beside_curves(results))


def planned_tickets(plan: Plan) -> Planned:
    """The tickets that a file judges."""
    return {
        (_trial(trial), evaluation.round, evaluation.draw): (trial, evaluation)
        for trial in plan.trials
        for evaluation in trial.evaluations
    }


def stretches(plan: Plan, evaluation: Evaluation) -> bool:
    """Whether a mask decides how many steps an iteration of a run is."""
    return spec_of(plan.phases, evaluation.run.key, TrainSpec).stretch is not None


def _repeated(lines: Iterable[tuple[Hashable, str]]) -> list[str]:
    known = list(lines)
    counts = Counter(identity for identity, _ in known)
    return [text for identity, text in known if counts[identity] > 1]


def _numbers(results: Results, plan: Plan, planned: Planned) -> Iterator[str]:
    """Numbers that results.jsonl lacks, and numbers of what the file does not have."""
    judged: dict[Ticket, list[Row]] = defaultdict(list)
    for row in results.rows:
        if row.role == "evaluate":
            judged[_ticket(row)].append(row)
    lacking, beside = [], []
    for ticket, (trial, evaluation) in planned.items():
        own = [row for row in judged.get(ticket, ()) if _is_of_curve(row)]
        positions: dict[str, set[str]] = defaultdict(set)
        for row in own:
            positions[row.name].add(row.position)
        wanted = _measured(plan, trial, evaluation, own)
        for name in sorted(wanted):
            missing = wanted[name] - positions[name]
            lacking += [f"{ticket_text(*ticket)}: {name} at {position}" for position in sorted(missing)]
            if not positions[name] and not missing:
                lacking.append(f"{ticket_text(*ticket)}: {name}")
        beside += [row_text(row) for row in own if row.name not in wanted or row.twin]
        if not stretches(plan, evaluation):
            places = _positions(plan, evaluation)
            beside += [row_text(row) for row in own if row.position not in places]
    yield from listed("numbers of the file's tickets that results.jsonl lacks", lacking)
    yield from listed("numbers that the file does not measure", beside)
    foreign = (row_text(row) for ticket, rows in judged.items() if ticket not in planned for row in rows)
    yield from listed("numbers of tickets that the file does not judge", foreign)
    left_out = {row.trial: row for out in plan.left_out for row in rows_of_left_out(out)}
    trials = {_trial(trial) for trial in plan.trials} | left_out.keys()
    elsewhere = (row_text(row) for row in results.rows if row.role != "evaluate" and row.trial not in trials)
    yield from listed("numbers of trials that the file does not have", elsewhere)
    # A row of the role "find" says that there never was a ticket; a trial that can take part has others.
    said = (row_text(row) for row in results.rows if row.role == "find" and row.trial in trials - left_out.keys())
    yield from listed("trials that are said to have no ticket, and can take part", said)
    apart = [row for row in results.rows if row.trial in left_out]
    taking_part = (row_text(row) for row in apart if row.outcome != "inapplicable")
    yield from listed("rows that judge trials whose method does not apply to the network", taking_part)
    said_so = [row for row in apart if row.outcome == "inapplicable"]
    why = (row_text(row) for row in said_so if row.note != left_out[row.trial].note)
    yield from listed("trials of which planning gives another reason why the method does not apply", why)
    beside = [row_text(row) for row in said_so if row != left_out[row.trial].model_copy(update={"note": row.note})]
    yield from listed("rows that state more of such a trial than that its method does not apply", beside)
    yield from listed("trials that failed without a note that says why", _unexplained(results))
    found = {row.trial for row in results.rows}
    absent = (ticket_text(trial, None, 0) for trial in sorted(trials) if trial not in found)
    yield from listed("trials of the file without any number", absent)


def _unexplained(results: Results) -> Iterator[str]:
    """Trials with an outcome that only an error gives, of which no note has the error."""
    notes = [note for note in results.provenance.report.notes if note.startswith(FAILED)]
    for trial in dict.fromkeys(r.trial for r in results.rows if r.role != "analyse" and r.outcome == "failed"):
        entry, model, data, seed = trial
        if not any(note.startswith(f"{FAILED}{entry}, {model}, {data}, seed {seed}: ") for note in notes):
            yield ticket_text(trial, None, 0)


def _measured(plan: Plan, trial: Trial, evaluation: Evaluation, own: Iterable[Row]) -> dict[str, set[str]]:
    """By metric, the positions of which its ticket must have rows: all of them, or of a run that broke the end alone.

    None are named where only the ticket's mask decides them.
    """
    broke = all(row.outcome in BROKEN for row in own)
    if stretches(plan, evaluation):
        positions: set[str] = set()
    else:
        positions = {f"{evaluation.run.stop}it"} if broke else _positions(plan, evaluation)
    splits = plan.curves[evaluation.curve.detail].splits
    return {f"{split}/{metric}": positions for split in splits for metric in trial.metrics}


def _positions(plan: Plan, evaluation: Evaluation) -> set[str]:
    """The positions at which the file wants a run's numbers."""
    return {f"{iteration}it" for iteration in (*plan.curves[evaluation.curve.detail].at, evaluation.run.stop)}


def _analyses(results: Results, plan: Plan) -> Iterator[str]:
    """Analyses of the file that left nothing, and what is there of others."""
    planned = {(_trial(trial), name, ref.key) for trial in plan.trials for name, ref in trial.analyses}
    lines = {(trial_of(one), one.analysis, one.key): one for one in results.details if isinstance(one, AnalysisDetail)}
    numbers = {_analysis(row) for row in results.rows if row.role == "analyse"}
    lacking = sorted(planned - lines.keys())
    yield from listed(f"analyses of the file without a line in {DETAILS}", map(_analysis_text, lacking))
    foreign = sorted(lines.keys() - planned)
    yield from listed(f"lines of {DETAILS} of analyses that the file does not have", map(_analysis_text, foreign))
    # An analysis gives numbers, or pictures alone.
    empty = sorted(one for one, line in lines.items() if not line.figures and one not in numbers)
    yield from listed(f"analyses with neither a number in {RESULTS} nor a picture", map(_analysis_text, empty))


def _analysis(row: Row) -> tuple[TrialId, str, str]:
    """The analysis that a row is of."""
    return row.trial, row.metric.split("/")[0], row.key


def _analysis_text(analysis: tuple[TrialId, str, str]) -> str:
    trial, name, _ = analysis
    return f"{ticket_text(trial, None, 0)}: {name}"


def _of_other_keys(results: Results, plan: Plan, planned: Planned) -> Iterator[str]:
    """Rows that were made by another version, or not by this file."""
    analyses = {(_trial(trial), name, ref.key) for trial in plan.trials for name, ref in trial.analyses}
    for row in results.rows:
        ticket = planned.get(_ticket(row)) if row.role == "evaluate" else None
        other = ticket is not None and row.key != ticket[1].run.key
        if other or (row.role == "analyse" and _analysis(row) not in analyses):
            yield row_text(row)


def _of_other_shares(results: Results, planned: Planned) -> Iterator[str]:
    """Rows by which a ticket would count as being at a place that its mask was not cut to."""
    for row in results.rows:
        ticket = planned.get(_ticket(row)) if row.role == "evaluate" else None
        count = None if ticket is None else ticket[1].run.ticket.count
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
    return not row.metric.startswith(EARLY_STOP)


def _what(row: Row) -> Hashable:
    # Early stopping stops once: two rows of it at two positions are of one measurement.
    return row.identity if _is_of_curve(row) else (*row.run, row.role, row.metric, row.split)


def _ticket(row: Row) -> Ticket:
    return row.trial, row.round, row.draw


def _trial(trial: Trial) -> TrialId:
    return trial.entry, trial.model, trial.data, trial.seed
