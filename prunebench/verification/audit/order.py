"""Whether rows and details stand in the order in which they are written: another order is another writer's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from prunebench.api.details import EvaluationDetail
from prunebench.api.planning import Evaluation
from prunebench.api.results import Results
from prunebench.api.rows import Row, TrialId
from prunebench.api.task import EARLY_STOP, STOPPED_AT
from prunebench.plan.trial import Plan, Trial
from prunebench.results.details import DETAILS
from prunebench.results.rows import RESULTS
from prunebench.verification.audit.wording import detail_text, listed, row_text, trial_of

Place: TypeAlias = tuple[object, ...]
"""Where a line stands; places of one file compare."""

_ITERATION = re.compile(r"(\d{1,18})it")


def other_order(results: Results, plan: Plan) -> Iterator[str]:
    """Lines that stand before one that is written earlier, a sentence for each file.

    The order is that of the file: trials, in each the tickets and then the analyses, of a ticket its positions, splits
    and metrics. Results that were laid together have their trials by entry, network, data set and seed. Lines that
    nothing plans have no place; they are another finding. The numbers of one analysis have the order that a second run
    gives them.
    """
    trials = _trials(results, plan)
    known = {(t.entry, t.model, t.data, t.seed): _Places(t, plan) for t in plan.trials}
    rows = ((_place(trials, known, row.trial, row), row_text(row)) for row in results.rows)
    yield from listed(f"{RESULTS}: lines in another order than they are written in", _early(rows))
    lines = ((_place(trials, known, trial_of(line), line), detail_text(line)) for line in results.details)
    yield from listed(f"{DETAILS}: lines in another order than they are written in", _early(lines))


def _trials(results: Results, plan: Plan) -> Mapping[TrialId, int]:
    """Where each trial stands."""
    trials = [(trial.entry, trial.model, trial.data, trial.seed) for trial in plan.trials]
    trials += [(out.entry, out.model, out.data, seed) for out in plan.left_out for seed in out.seeds]
    if results.provenance.merged:
        entries = {name: place for place, name in enumerate(results.provenance.entries)}
        trials.sort(key=lambda trial: (entries.get(trial[0], len(entries)), *trial[1:]))
    return {trial: place for place, trial in enumerate(trials)}


def _early(lines: Iterable[tuple[Place | None, str]]) -> Iterator[str]:
    """Lines whose place is before that of the line above."""
    last: Place = ()
    for place, text in lines:
        if place is None:
            continue
        if place < last:
            yield text
        last = place


def _place(
    trials: Mapping[TrialId, int], known: Mapping[TrialId, _Places], trial: TrialId, line: object
) -> Place | None:
    if trial not in trials:
        return None
    if trial not in known:  # it could not take part: a row says so
        return (trials[trial],)
    inner = known[trial].of(line)
    return None if inner is None else (trials[trial], *inner)


class _Places:
    """Where the lines of one trial stand in it."""

    def __init__(self, trial: Trial, plan: Plan) -> None:
        self._plan = plan
        self._metrics = {metric: place for place, metric in enumerate(trial.metrics)}
        self._tickets: dict[tuple[int | None, int], tuple[int, Evaluation]] = {
            (one.round, one.draw): (place, one) for place, one in enumerate(trial.evaluations)
        }
        self._analyses = {(name, ref.key): place for place, (name, ref) in enumerate(trial.analyses)}

    def of(self, line: object) -> Place | None:
        if isinstance(line, Row):
            return self._analysis(line.metric.split("/")[0], line.key) if line.role == "analyse" else self._number(line)
        if isinstance(line, EvaluationDetail):
            found = self._tickets.get((line.round, line.draw))
            return None if found is None else (0, found[0])
        return self._analysis(getattr(line, "analysis", ""), getattr(line, "key", ""))

    def _analysis(self, name: str, key: str) -> Place | None:
        place = self._analyses.get((name, key))
        return None if place is None else (1, place)

    def _number(self, row: Row) -> Place | None:
        found = self._tickets.get((row.round, row.draw))
        if found is None:
            return None
        place, evaluation = found
        splits = self._plan.curves[evaluation.curve.detail].splits
        split = splits.index(row.split) if row.split in splits else len(splits)
        if row.metric.startswith(EARLY_STOP) or row.metric == STOPPED_AT:
            return 0, place, 1, 0, split if row.metric != STOPPED_AT else -1, 0
        at = _ITERATION.fullmatch(row.position)
        metric = self._metrics.get(row.metric, len(self._metrics))
        return 0, place, 0, 0 if at is None else int(at[1]), split, metric
