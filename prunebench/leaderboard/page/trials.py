"""What stands behind a cell: of each trial its tickets with curves and layers, its figures and its addresses.

Curves share their positions and trials their layers, and both are thinned to a budget, so that a page of tens of
thousands of rows still opens at once.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias
from urllib.parse import quote

from prunebench.api.positions import Position
from prunebench.api.results import Results
from prunebench.leaderboard.cells import density_labels
from prunebench.leaderboard.markdown import plain
from prunebench.leaderboard.metrics import metric_of

NUMBERS = 600_000
"""Numbers of training curves that a page holds at most, as long as every curve keeps its least points."""

LEAST, MOST = 12, 201
"""Points that a training curve keeps at least and at most."""

FIGURES = 24_000_000
"""Bytes of analyses' figures that a page holds at most, base64 included."""

_WORST_FIRST = ("failed", "diverged", "collapsed", "ok")

Where: TypeAlias = tuple[str, str, str, int]
"""(entry, model, data, seed): a trial."""


def trials(results: Results) -> dict[str, Any]:
    """The trials in the order of the rows, with the tables that they share."""
    return _Trials(results).told()


class _Trials:
    def __init__(self, results: Results) -> None:
        self.results = results
        self.metric = results.provenance["report"]["metric"]
        self.rows: dict[Where, list[Mapping[str, Any]]] = defaultdict(list)
        self.lines: dict[Where, list[Mapping[str, Any]]] = defaultdict(list)
        for row in results.rows:
            if row["twin"] == 0:
                self.rows[_where(row)].append(row)
        for line in results.details:
            self.lines[_where(line)].append(line)
        self.units = {f"{row['split']}/{row['metric']}": row["unit"] for row in results.rows if row["metric"]}
        evaluated = [line for line in results.details if line["kind"] == "evaluation"]
        names = [name for line in evaluated for name in (line["curve"] or [{}])[0] if name != "iteration"]
        self.series = {name: index for index, name in enumerate(dict.fromkeys(names))}
        self.most = min(MOST, max(LEAST, NUMBERS // max(1, len(names))))
        self.thinned = any(len(line["curve"]) > self.most for line in evaluated)
        self.room = FIGURES
        self.positions, self.layers = _Shared(), _Shared()

    def told(self) -> dict[str, Any]:
        # analyses may have no row and rows no details: a trial is whatever either knows
        found = [self._trial(where) for where in dict.fromkeys([*self.rows, *self.lines])]
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
        }

    def _serie(self, name: str) -> dict[str, str]:
        split, _, metric = name.rpartition("/")
        return {"split": plain(split), "metric": plain(metric), "unit": plain(metric_of(name, self._unit(name)).shown)}

    def _unit(self, name: str) -> str:
        return str(self.units.get(name, ""))

    def _trial(self, where: Where) -> dict[str, Any]:
        entry, model, data, seed = where
        rows, lines = self.rows[where], self.lines[where]
        base = {"id": entry, "name": plain(entry), "model": plain(model), "data": plain(data), "seed": seed}
        outcomes = [row["outcome"] for row in rows]
        return {
            **base,
            "outcome": min(outcomes, key=_WORST_FIRST.index, default="ok"),
            "tickets": self._tickets(rows, [line for line in lines if line["kind"] == "evaluation"]),
            "broke": _broke(rows),
            "analyses": [self._analysis(line) for line in lines if line["kind"] == "analysis"],
            "environments": sorted({plain(name) for row in rows for name in row.get("environments", ())}),
        }

    def _tickets(self, rows: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        judged: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["role"] == "evaluate":
                judged[row["round"], row["draw"]].append(row)
        details = {(line["round"], line["draw"]): line for line in lines}
        tickets = [self._ticket(at, judged[at], details.get(at)) for at in sorted(judged.keys() | details.keys())]
        known = sorted({ticket["density"] for ticket in tickets if ticket["density"] is not None}, reverse=True)
        labels = density_labels(known)
        for ticket in tickets:
            ticket["label"] = "?" if ticket["density"] is None else labels[ticket["density"]]
        return tickets

    def _ticket(
        self, at: tuple[int, int], rows: Sequence[Mapping[str, Any]], line: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        final = _last(row for row in rows if f"{row['split']}/{row['metric']}" == self.metric)
        value = None if final is None else final["value"]
        measured = metric_of(self.metric, self._unit(self.metric))
        density = next((row["density"] for row in rows if row["density"] is not None), None)
        ticket: dict[str, Any] = {
            "round": at[0],
            "draw": at[1],
            "density": density,
            "outcome": min((row["outcome"] for row in rows), key=_WORST_FIRST.index, default="ok"),
            "value": None if value is None else measured.number(value),
            "key": next((plain(row["key"]) for row in rows), ""),
        }
        return ticket if line is None else ticket | self._detail(line, density)

    def _detail(self, line: Mapping[str, Any], density: float | None) -> dict[str, Any]:
        layers = line["layers"]
        kept = None if any(layer["kept"] is None for layer in layers) else [layer["kept"] for layer in layers]
        units = sum(layer["units"] for layer in layers)
        if density is None and kept is not None and units:
            density = sum(kept) / units
        points = _thin(line["curve"], self.most)
        factors = {name: metric_of(name, self._unit(name)).factor for name in self.series}
        return {
            "density": density,
            "key": plain(line["key"]),
            "start": line["start"],
            "stop": line["stop"],
            "addresses": [[name, plain(address)] for name, address in sorted(line["artifacts"].items()) if address],
            "layers": self.layers.place([[plain(layer["name"]), layer["units"]] for layer in layers]),
            "kept": kept,
            "at": self.positions.place([point["iteration"] for point in points]),
            "curves": [
                [index, [_short(point.get(name), factors[name]) for point in points]]
                for name, index in self.series.items()
                if points and name in points[0]
            ],
        }

    def _analysis(self, line: Mapping[str, Any]) -> dict[str, Any]:
        figures = []
        for figure in line["figures"]:
            picture = base64.b64encode(figure["svg"].encode("utf-8", "replace")).decode()
            slots_of = len(picture) <= self.room
            self.room -= len(picture) if slots_of else 0
            told = {"name": plain(figure["name"]), "caption": plain(figure["caption"])}
            figures.append({**told, "svg": picture if slots_of else None})
        return {"name": plain(line["analysis"]), "key": plain(line["key"]), "figures": figures}


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


def _where(line: Mapping[str, Any]) -> Where:
    return line["entry"], line["model"], line["data"], line["seed"]


def _broke(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The runs of a trial that broke before there was a ticket to judge, or in an analysis."""
    told = [
        f"{row['role']}{'' if row['round'] is None else ' in round ' + str(row['round'])}: {row['outcome']}"
        for row in rows
        if row["role"] != "evaluate" and row["outcome"] != "ok"
    ]
    return list(dict.fromkeys(told))


def _last(rows: Iterator[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of the latest position."""

    def position(row: Mapping[str, Any]) -> Fraction:
        return Position.parse(row["position"]).amount if row["position"] else Fraction(0)

    return max((row for row in rows if row["value"] is not None), key=position, default=None)


def _thin(points: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Evenly chosen points, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(step * (len(points) - 1) / (most - 1))] for step in range(most)]


def _short(value: float | None, factor: float) -> float | None:
    """A number as a curve needs it: five digits of it."""
    return None if value is None else float(f"{factor * value:.5g}")
