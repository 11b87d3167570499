"""What trackers are told beside the events of a run: the trials that a phase serves, what is measured, each ticket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from prunebench.api.errors import LostArtifact
from prunebench.api.events import Event
from prunebench.api.planning import Evaluation
from prunebench.engine.scheduler import Execution
from prunebench.plan.trial import Plan, Trial
from prunebench.results.measured_rows import rows_of
from prunebench.results.outputs import Outputs
from prunebench.store.store import Store


class Following:
    """Turns the events of a plan's execution into those that trackers see.

    A tracker that is started anew, after a run was stopped, is told everything: of what is in the store already, before
    anything else happens.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan, self._name = plan, name
        self._judged: dict[str, list[tuple[int, Evaluation]]] = {}
        """The evaluations that a phase has a part in, by its key."""
        self._told: set[tuple[int, int, int]] = set()
        """Trial, round and draw of each ticket that was told."""
        self._points: dict[str, set[int]] = {}
        """The iterations of each curve that were told, by its address."""
        self._served: dict[str, list[int]] = {}
        for index, trial in enumerate(plan.trials):
            for evaluation in trial.evaluations:
                for key in {evaluation.curve.key, *([] if evaluation.mask is None else [evaluation.mask.key])}:
                    self._judged.setdefault(key, []).append((index, evaluation))
            for key in _ancestors(plan, trial):
                self._served.setdefault(key, []).append(index)

    def told(self, event: Event, store: Store) -> Iterator[Event]:
        """The event as trackers see it, and what follows from it."""
        fields = dict(event.fields)
        measured = fields.pop("measured", ())
        if event.kind == "run-started":
            self._told, self._points = set(), {}
            fields |= {"benchmark": self._name, "trials": [_described(trial) for trial in self._plan.trials]}
        elif "key" in fields:
            fields["trials"] = list(self._served.get(fields["key"], ()))
        yield Event(event.kind, fields)
        if event.kind == "run-started":
            for index, trial in enumerate(self._plan.trials):
                yield from self._ready(((index, one) for one in trial.evaluations), store)
        elif event.kind == "progress":
            yield from self._measured(str(fields["key"]), measured)
        elif event.kind == "phase-done":
            yield from self._ready(self._judged.get(str(fields["key"]), ()), store)

    def _measured(self, key: str, measured: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
        """Points of curves, in the order in which they were measured."""
        found: dict[str, list[dict[str, Any]]] = {}
        for point in measured:
            found.setdefault(point["curve"], []).append({"iteration": point["iteration"], "values": point["values"]})
        for curve, points in found.items():
            of = [(index, one) for index, one in self._judged.get(key, ()) if _is_of(one, key, curve)]
            if of:
                yield from self._curve(of, points)

    def _curve(self, of: list[tuple[int, Evaluation]], points: list[dict[str, Any]]) -> Iterator[Event]:
        known = self._points.setdefault(of[0][1].curve.address, set())
        fresh = [point for point in points if point["iteration"] not in known]
        known.update(point["iteration"] for point in fresh)
        if fresh:
            runs = [self._placed(index, one) for index, one in of]
            yield Event("measured", {"key": of[0][1].curve.key, "runs": runs, "points": fresh})

    def _placed(self, index: int, evaluation: Evaluation) -> dict[str, Any]:
        draws = sum(one.round == evaluation.round for one in self._plan.trials[index].evaluations)
        return {"trial": index, "round": evaluation.round, "draw": evaluation.draw, "draws": draws}

    def _ready(self, judged: Iterable[tuple[int, Evaluation]], store: Store) -> Iterator[Event]:
        """The tickets that are judged now, and what of their curves was not told yet."""
        ready = [
            (index, one)
            for index, one in judged
            if (index, one.round, one.draw) not in self._told
            and store.has(one.curve.address)
            and (one.mask is None or store.has(one.mask.address))
        ]
        outputs = Outputs(store, Execution())
        shared: dict[str, list[tuple[int, Evaluation]]] = {}
        for index, one in ready:
            shared.setdefault(one.curve.address, []).append((index, one))
        for of in shared.values():
            try:
                yield from self._curve(of, _points_of(of[0][1], outputs))
                for index, one in of:
                    alone = replace(self._plan.trials[index], evaluations=(one,), analyses=())
                    rows = rows_of(replace(self._plan, trials=(alone,), left_out=()), outputs)
                    self._told.add((index, one.round, one.draw))
                    yield Event("ticket", {**self._placed(index, one), "rows": [row.to_json() for row in rows]})
            except LostArtifact:  # it is made again, and told then
                continue


def _described(trial: Trial) -> dict[str, Any]:
    keys = sorted({evaluation.run.key for evaluation in trial.evaluations})
    return {
        "entry": trial.entry,
        "model": trial.model,
        "data": trial.data,
        "seed": trial.seed,
        "keys": keys,
        "tickets": len(trial.evaluations),
    }


def _is_of(evaluation: Evaluation, key: str, curve: str) -> bool:
    return evaluation.curve.key == key and evaluation.curve.detail == curve


def _points_of(evaluation: Evaluation, outputs: Outputs) -> list[dict[str, Any]]:
    output = outputs.get(evaluation.curve)
    if output is None or "curve.json" not in output.files:
        return []
    return [
        {"iteration": point.pop("iteration"), "values": point}
        for point in json.loads(output.files["curve.json"])["points"]
    ]


def _ancestors(plan: Plan, trial: Trial) -> set[str]:
    """The keys of all phases that a trial rests on."""
    stack = [one.curve.key for one in trial.evaluations]
    stack += [one.mask.key for one in trial.evaluations if one.mask is not None]
    stack += [ref.key for _, ref in trial.analyses]
    found: set[str] = set()
    while stack:
        key = stack.pop()
        if key not in found:
            found.add(key)
            stack += [ref.key for ref in plan.phases[key].parents]
    return found
