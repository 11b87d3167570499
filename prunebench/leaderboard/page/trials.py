"""What stands behind a cell: of each trial its tickets with curves and layers, its figures and its addresses.

Curves share their positions and trials their layers, and both are thinned to a budget, so that a page of tens of
thousands of rows still opens at once.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from prunebench.api.details import AnalysisDetail, CurvePoint, Detail, EvaluationDetail
from prunebench.api.metric import Metric, metric_of
from prunebench.api.report import percent_labels, plain
from prunebench.api.results import Results, final_rows
from prunebench.api.rows import WORST_FIRST, Outcome, Row, TrialId

NUMBERS = 350_000
"""Numbers of training curves that a page holds at most, as long as every curve keeps its least points."""

LEAST, MOST = 7, 201
"""Points that a training curve keeps at least and at most."""

ADDRESSED = 4_000
"""Tickets up to which a page holds their keys whole and the addresses of their artifacts: these are as good as random,
and packing them is of no use."""

FIGURES = 24_000_000
"""Bytes of analyses' figures that a page holds at most, base64 included."""


def trials(results: Results) -> dict[str, Any]:
    """The trials in the order of the rows, with the tables that they share."""
    return _Trials(results).to_json()


class _Trials:
    def __init__(self, results: Results) -> None:
        self.results = results
        self.metric = results.provenance.report.metric
        self.rows: dict[TrialId, list[Row]] = defaultdict(list)
        self.evaluations: dict[TrialId, list[EvaluationDetail]] = defaultdict(list)
        self.analyses: dict[TrialId, list[AnalysisDetail]] = defaultdict(list)
        for row in results.rows:
            if row.twin == 0:
                self.rows[row.trial].append(row)
        for detail in results.details:
            if isinstance(detail, EvaluationDetail):
                self.evaluations[_trial_of(detail)].append(detail)
            else:
                self.analyses[_trial_of(detail)].append(detail)
        self.units = {row.name: row.unit for row in results.rows if row.metric}
        evaluated = [detail for detail in results.details if isinstance(detail, EvaluationDetail)]
        names = [name for detail in evaluated for point in detail.curve[:1] for name in point.values]
        self.series = {name: index for index, name in enumerate(dict.fromkeys(names))}
        self.most = min(MOST, max(LEAST, NUMBERS // max(1, len(names))))
        self.thinned = any(len(detail.curve) > self.most for detail in evaluated)
        self.addressed = len(evaluated) <= ADDRESSED
        self.room = FIGURES
        self.positions, self.layers = _Shared(), _Shared()

    def to_json(self) -> dict[str, Any]:
        # analyses may have no row and rows no details: a trial is whatever either knows
        known = dict.fromkeys([*self.rows, *(_trial_of(detail) for detail in self.results.details)])
        found = [self._trial(where) for where in known]
        routes: dict[str, int] = defaultdict(int)
        for trial in found:
            named = "/".join(quote(str(trial[part]), safe="") for part in ("model", "data", "name", "seed"))
            routes[named] += 1
            trial["route"] = named if routes[named] == 1 else f"{named}/{routes[named]}"
        return {
            "trials": found,
            "positions": self.positions.values,
            "layers": self.layers.values,
            "series": [self._serie(name) for name in self.series],
            "points": self.most if self.thinned else None,
            "addressed": self.addressed,
        }

    def _serie(self, name: str) -> dict[str, str]:
        split, _, metric = name.rpartition("/")
        return {"split": plain(split), "metric": plain(metric), "unit": plain(self._metric(name).shown)}

    def _metric(self, name: str) -> Metric:
        return metric_of(name, self.units.get(name, ""), self.results.provenance.metrics)

    def _trial(self, where: TrialId) -> dict[str, Any]:
        entry, model, data, seed = where
        rows = self.rows[where]
        return {
            "id": entry,
            "name": plain(entry),
            "model": plain(model),
            "data": plain(data),
            "seed": seed,
            "outcome": _worst(rows),
            "tickets": self._tickets(rows, self.evaluations[where]),
            "broke": _broke(rows),
            "analyses": [self._analysis(detail) for detail in self.analyses[where]],
            "environments": sorted({plain(name) for row in rows for name in row.environments}),
        }

    def _tickets(self, rows: Sequence[Row], evaluations: Sequence[EvaluationDetail]) -> list[dict[str, Any]]:
        judged: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for row in rows:
            if row.role == "evaluate" and row.round is not None:
                judged[row.round, row.draw].append(row)
        details = {(detail.round, detail.draw): detail for detail in evaluations}
        tickets = [self._ticket(at, judged[at], details.get(at)) for at in sorted(judged.keys() | details.keys())]
        known = sorted({ticket["density"] for ticket in tickets if ticket["density"] is not None}, reverse=True)
        labels = percent_labels(known)
        for ticket in tickets:
            ticket["label"] = "?" if ticket["density"] is None else labels[ticket["density"]]
        return tickets

    def _ticket(self, at: tuple[int, int], rows: Sequence[Row], detail: EvaluationDetail | None) -> dict[str, Any]:
        value = next((row.value for row in final_rows(rows, self.metric)), None)
        measured = self._metric(self.metric)
        density = next((row.density for row in rows if row.density is not None), None)
        ticket: dict[str, Any] = {
            "round": at[0],
            "draw": at[1],
            "density": density,
            "outcome": _worst(rows),
            "value": None if value is None else measured.number(value),
            "key": next((self._key(row.key) for row in rows), ""),
        }
        return ticket if detail is None else ticket | self._detail(detail, density)

    def _detail(self, detail: EvaluationDetail, density: float | None) -> dict[str, Any]:
        counts = [layer.kept for layer in detail.layers if layer.kept is not None]
        kept = counts if len(counts) == len(detail.layers) else None
        units = sum(layer.units for layer in detail.layers)
        if density is None and kept is not None and units:
            density = sum(kept) / units
        points = _thin(detail.curve, self.most)
        factors = {name: self._metric(name).factor for name in self.series}
        return {
            "density": density,
            "key": self._key(detail.key),
            "start": detail.start,
            "stop": detail.stop,
            "addresses": [
                [name, plain(address)]
                for name, address in sorted(detail.artifacts.items())
                if address and self.addressed
            ],
            "layers": self.layers.place([[plain(layer.name), layer.units] for layer in detail.layers]),
            "kept": kept,
            "at": self.positions.place([point.iteration for point in points]),
            "curves": [
                [index, [_short(point.values.get(name), factors[name]) for point in points]]
                for name, index in self.series.items()
                if points and name in points[0].values
            ],
        }

    def _key(self, key: str) -> str:
        return plain(key) if self.addressed else plain(key)[:16]

    def _analysis(self, detail: AnalysisDetail) -> dict[str, Any]:
        figures = []
        for figure in detail.figures:
            picture = base64.b64encode(figure.svg.encode("utf-8", "replace")).decode()
            fits = len(picture) <= self.room
            self.room -= len(picture) if fits else 0
            text = {"name": plain(figure.name), "caption": plain(figure.caption)}
            figures.append({**text, "svg": picture if fits else None})
        return {"name": plain(detail.analysis), "key": plain(detail.key), "figures": figures}


class _Shared:
    """Values that many trials share: each is held once, and named by its place."""

    def __init__(self) -> None:
        self.values: list[list[Any]] = []
        self._places: dict[str, int] = {}

    def place(self, value: list[Any]) -> int:
        """Where the value stands, put there if it is new."""
        place = self._places.setdefault(repr(value), len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def _trial_of(detail: Detail) -> TrialId:
    return detail.entry, detail.model, detail.data, detail.seed


def _worst(rows: Iterable[Row]) -> Outcome:
    return min((row.outcome for row in rows), key=WORST_FIRST.index, default="ok")


def _broke(rows: Iterable[Row]) -> list[str]:
    """The runs of a trial that broke before there was a ticket to judge, or in an analysis."""
    runs = [
        f"the method does not apply to this network: {plain(row.note)}"
        if row.outcome == "inapplicable"
        else f"{row.role}{'' if row.round is None else ' in round ' + str(row.round)}: {row.outcome}"
        for row in rows
        if row.role != "evaluate" and row.outcome != "ok"
    ]
    return list(dict.fromkeys(runs))


def _thin(points: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    """Evenly chosen points, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(step * (len(points) - 1) / (most - 1))] for step in range(most)]


def _short(value: float | None, factor: float) -> float | None:
    """A number as a curve needs it: four digits of it."""
    return None if value is None else float(f"{factor * value:.4g}")
