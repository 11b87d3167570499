"""What of a ticket follows from its plan and its layers: densities, counts, curves, addresses, early stops.

All of it is exact, in whatever environment the numbers were made.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prunebench.api.cost_share import CostShare
from prunebench.api.details import EvaluationDetail
from prunebench.api.planning import Evaluation
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.api.task import EARLY_STOP, LOSS, STOPPED_AT, primary
from prunebench.plan.trial import Plan, Trial
from prunebench.results.measured_rows import DENSITIES
from prunebench.verification.audit.tickets import BROKEN, Planned, Ticket, planned_tickets, stretches
from prunebench.verification.audit.wording import detail_text, listed, row_text, ticket_text, trial_of

OF_A_TICKET = (*DENSITIES, "empty_layers", "unscored_layers", "note", "key", "asked_parameters", "asked_macs")
"""Fields in which the rows of one ticket are equal."""


def other_facts(results: Results, plan: Plan) -> Iterator[str]:
    """What does not follow from the plan or from the ticket's own layers and curve, a sentence each."""
    planned = planned_tickets(plan)
    lines: dict[Ticket, EvaluationDetail] = {
        (trial_of(line), line.round, line.draw): line for line in results.details if isinstance(line, EvaluationDetail)
    }
    rows: dict[Ticket, list[Row]] = defaultdict(list)
    for row in results.rows:
        if row.role == "evaluate" and (row.trial, row.round, row.draw) in planned:
            rows[row.trial, row.round, row.draw].append(row)
    yield from _of_rows(rows, lines, planned)
    yield from _of_analyses(results.rows, rows, planned)
    yield from _of_lines(lines, rows, plan, planned)
    yield from _early_stops(lines, rows, plan, planned)


def _of_rows(
    rows: Mapping[Ticket, Sequence[Row]], lines: Mapping[Ticket, EvaluationDetail], planned: Planned
) -> Iterator[str]:
    apart, without, other, unmeasured, uncounted = [], [], [], [], []
    for ticket, own in rows.items():
        trial, evaluation = planned[ticket]
        first, text = own[0], ticket_text(*ticket)
        for name in OF_A_TICKET:
            if any(getattr(row, name) != getattr(first, name) for row in own):
                apart.append(f"{text}: {name}")
        unmeasured += [row_text(row) for row in own if (row.value is None) != (row.outcome in BROKEN)]
        if all(row.outcome in BROKEN for row in own):
            continue
        without += [f"{text}: {name}" for name in DENSITIES if getattr(first, name) is None]
        line = lines.get(ticket)
        other += [
            f"{text}: {name}"
            for name, value in _densities(trial, evaluation, line).items()
            if getattr(first, name) not in (None, value)
        ]
        kept = [] if line is None or evaluation.mask is None else [layer.kept for layer in line.layers]
        if first.empty_layers != kept.count(0):
            uncounted.append(text)
    yield from listed("tickets whose rows contradict one another", apart)
    yield from listed("tickets without a density", without)
    yield from listed("densities that do not follow from the file and the layers", other)
    yield from listed("rows whose outcome and value contradict each other", unmeasured)
    yield from listed("tickets with another number of empty layers than their details show", uncounted)


def _densities(trial: Trial, evaluation: Evaluation, line: EvaluationDetail | None) -> Mapping[str, float]:
    """The densities that follow from the plan, or from how many units each layer keeps."""
    if evaluation.mask is None:
        return dict.fromkeys(DENSITIES, 1.0)
    count = evaluation.run.ticket.count
    kept = [] if line is None else [layer.kept for layer in line.layers]
    if isinstance(count, CostShare):
        if not kept or None in kept:
            return {}
        count = sum(one or 0 for one in kept)
    found = {"density": count / trial.units}
    if trial.parameters and all(math.prod(layer.shape) == layer.count > 0 for layer in trial.layers if layer.shape):
        weights = all(layer.shape for layer in trial.layers)  # a unit is one parameter
        found |= {"density_all": (trial.parameters - trial.units + count) / trial.parameters} if weights else {}
    return found


def _of_analyses(all_rows: Sequence[Row], rows: Mapping[Ticket, Sequence[Row]], planned: Planned) -> Iterator[str]:
    """Rows of analyses state the densities of the ticket of their round."""
    first: dict[tuple[Any, int | None], Row] = {}
    for ticket in planned:  # in the order of the file: its first draw
        if rows.get(ticket):
            first.setdefault((ticket[0], ticket[1]), rows[ticket][0])
    other = []
    for row in all_rows:
        if row.role != "analyse":
            continue
        judged = None if row.round is None else first.get((row.trial, row.round))
        if any(getattr(row, name) != (None if judged is None else getattr(judged, name)) for name in DENSITIES):
            other.append(row_text(row))
    yield from listed("numbers of analyses with another density than their round's ticket", other)


def _of_lines(
    lines: Mapping[Ticket, EvaluationDetail], rows: Mapping[Ticket, Sequence[Row]], plan: Plan, planned: Planned
) -> Iterator[str]:
    wrong, uncurved, unmarked, uncounted = [], [], [], []
    marked = {line.correct is not None for ticket, line in lines.items() if _whole(rows.get(ticket, ()))}
    for ticket, line in lines.items():
        if ticket not in planned:
            continue
        trial, evaluation = planned[ticket]
        run, text = evaluation.run, detail_text(line)
        addresses = {
            "curve": evaluation.curve.address,
            "mask": None if evaluation.mask is None else evaluation.mask.address,
            "weights": run.ticket.weights.address,
        }
        if (line.key, line.start, line.stop, dict(line.artifacts)) != (run.key, run.start, run.stop, addresses):
            wrong.append(text)
        if not _whole(rows.get(ticket, ())):
            continue
        if any(layer.kept is None for layer in line.layers):
            uncounted.append(text)
        if len(marked) > 1 and line.correct is None:
            unmarked.append(text)
        if not _curve_is_whole(line, trial, evaluation, plan):
            uncurved.append(text)
    yield from listed("details with another key, window or address than the file plans", wrong)
    yield from listed("details that do not say how many units each layer keeps", uncounted)
    yield from listed("details without the test examples that are right, which others have", unmarked)
    yield from listed("curves without all points and metrics that the file measures, or with others", uncurved)


def _whole(rows: Sequence[Row]) -> bool:
    """Whether a ticket's run went to its end."""
    return any(row.outcome not in BROKEN for row in rows)


def _curve_is_whole(line: EvaluationDetail, trial: Trial, evaluation: Evaluation, plan: Plan) -> bool:
    spec, run = plan.curves[evaluation.curve.detail], evaluation.run
    names = {f"{split}/{metric}" for split in spec.splits for metric in trial.metrics}
    if not line.curve or any(point.values.keys() != names for point in line.curve):
        return False
    there = [point.iteration for point in line.curve]
    if stretches(plan, evaluation):  # a mask decides where its points lie
        return there == sorted(set(there))
    return there == spec.places(run.start, run.stop, spec.at)


def _early_stops(
    lines: Mapping[Ticket, EvaluationDetail], rows: Mapping[Ticket, Sequence[Row]], plan: Plan, planned: Planned
) -> Iterator[str]:
    """Where early stopping ends a run, and with what, is read off its curve."""
    other = []
    for ticket, own in rows.items():
        trial, evaluation = planned[ticket]
        spec, line = plan.curves[evaluation.curve.detail], lines.get(ticket)
        stated = {(row.name, row.position): row.value for row in own if row.metric.startswith(EARLY_STOP)}
        derived: dict[tuple[str, str], float | None] = {}
        if "valid" in spec.splits and spec.every is not None and _whole(own) and line is not None and line.curve:
            losses = [(point.values.get(f"valid/{LOSS}"), point) for point in line.curve]
            # The first of the smallest.
            best = min(losses, key=lambda one: (math.inf if one[0] is None else one[0], one[1].iteration))[1]
            at, judged = f"{best.iteration}it", primary(trial.metrics)
            derived = {
                (f"{split}/{EARLY_STOP}{judged}", at): best.values.get(f"{split}/{judged}") for split in spec.splits
            }
            derived[f"valid/{STOPPED_AT}", at] = float(best.iteration)
        if stated != derived:
            other.append(ticket_text(*ticket))
    yield from listed("tickets whose early stop is not that of their curve", other)
