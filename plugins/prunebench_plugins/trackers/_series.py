"""Results -> what a tracker draws: for each trial, its metrics by density and its training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prunebench.api.results import Results

Line = Mapping[str, Any]

ROLES = {"evaluate": "tickets", "find": "find", "analyse": "analysis"}
"""What the metrics of a role are filed under."""


@dataclass(frozen=True)
class Tickets:
    """The metrics at one density: one evaluated ticket, with what analyses say of its round.

    `density` is None for what was measured of the trial as a whole.
    """

    round: int | None
    draw: int
    twin: int
    density: float | None
    density_all: float | None
    values: Mapping[str, float]
    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """The measurements of one run; `name` tells it from the others of its trial."""

    name: str
    points: Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Trial:
    """An entry on one model, one data set and one seed."""

    entry: str
    model: str
    data: str
    seed: int
    rows: list[Line] = field(default_factory=list)
    details: list[Line] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.entry}, {self.model}, {self.data}, seed {self.seed}"

    @property
    def evaluations(self) -> list[Line]:
        """The details of its evaluated tickets."""
        return [line for line in self.details if line["kind"] == "evaluation"]

    def tickets(self) -> list[Tickets]:
        """Every row that has a value, by round, draw and twin; no two have one name there."""
        stops = {line["key"]: line["stop"] for line in self.evaluations}
        found: dict[tuple[Any, ...], list[Line]] = {}
        for row in self.rows:
            found.setdefault((row["round"], row["draw"], row["twin"]), []).append(row)
        ordered = sorted(found.items(), key=lambda item: (item[0][0] is None, *(place or 0 for place in item[0])))
        return [
            Tickets(
                round,
                draw,
                twin,
                density=next((row["density"] for row in rows if row["density"] is not None), None),
                density_all=next((row["density_all"] for row in rows if row["density_all"] is not None), None),
                values={metric_of(row, stops): row["value"] for row in rows if row["value"] is not None},
                outcomes=tuple(sorted({row["outcome"] for row in rows})),
            )
            for (round, draw, twin), rows in ordered
        ]

    def curves(self) -> Iterator[Curve]:
        """The curves of its evaluated tickets; a point lacks what diverged."""
        several = {line["round"] for line in self.evaluations if line["draw"] > 0}
        for line in self.evaluations:
            name = f"round-{line['round']:02d}" + (f"-draw-{line['draw']}" if line["round"] in several else "")
            points = [
                (point["iteration"], {k: v for k, v in point.items() if k != "iteration" and v is not None})
                for point in line["curve"]
            ]
            yield Curve(name, points)


def trials_of(results: Results) -> list[Trial]:
    """The trials, in the order of the results."""
    found: dict[tuple[Any, ...], Trial] = {}
    for lines, into in ((results.rows, "rows"), (results.details, "details")):
        for line in lines:
            place = tuple(line[name] for name in ("entry", "model", "data", "seed"))
            getattr(found.setdefault(place, Trial(*place)), into).append(line)
    return list(found.values())


def is_final(row: Line, stops: Mapping[str, int]) -> bool:
    """Whether a row is of the end of its run, or of no position that others could be held against."""
    if row["role"] == "analyse":
        return not row["position"]
    return str(row["metric"]).startswith("early_stop_") or bool(row["position"] == f"{stops.get(row['key'])}it")


def metric_of(row: Line, stops: Mapping[str, int]) -> str:
    """`tickets/test/accuracy`, with `@500it` behind it away from the end of the run."""
    parts = [ROLES[row["role"]], row["split"], row["metric"]]
    if row["role"] == "analyse":
        parts = [ROLES[row["role"]], row["metric"], row["split"]]
    return "/".join(filter(None, parts)) + ("" if is_final(row, stops) else f"@{row['position']}")
