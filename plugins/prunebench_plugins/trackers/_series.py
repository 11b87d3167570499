"""Results -> what a tracker draws: for each trial, its metrics by density and its training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prunebench.api.details import AnalysisDetail, Detail, EvaluationDetail
from prunebench.api.results import Results, final_rows
from prunebench.api.rows import Row, TrialId

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
    rows: list[Row] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.entry}, {self.model}, {self.data}, seed {self.seed}"

    @property
    def evaluations(self) -> list[EvaluationDetail]:
        """The details of its evaluated tickets."""
        return [detail for detail in self.details if isinstance(detail, EvaluationDetail)]

    @property
    def analyses(self) -> list[AnalysisDetail]:
        """The details of its analyses."""
        return [detail for detail in self.details if isinstance(detail, AnalysisDetail)]

    @property
    def inapplicable(self) -> list[str]:
        """Of a method that does not apply to the network, why, in a sentence; nothing was run and nothing is empty."""
        why = dict.fromkeys(row.note for row in self.rows if row.outcome == "inapplicable")
        return [f"The method does not apply to this network, and nothing was run: {note}" for note in why]

    def tickets(self) -> list[Tickets]:
        """Every row that has a value, by round, draw and twin; no two have one name there."""
        final = {row.identity for row in final_rows(self.rows)}
        tickets: dict[tuple[int | None, int, int], list[Row]] = {}
        for row in self.rows:
            tickets.setdefault((row.round, row.draw, row.twin), []).append(row)
        ordered = sorted(tickets.items(), key=lambda item: (item[0][0] is None, *(place or 0 for place in item[0])))
        return [
            Tickets(
                round,
                draw,
                twin,
                density=next((row.density for row in rows if row.density is not None), None),
                density_all=next((row.density_all for row in rows if row.density_all is not None), None),
                values={metric_of(row, row.identity in final): row.value for row in rows if row.value is not None},
                outcomes=tuple(sorted({row.outcome for row in rows})),
            )
            for (round, draw, twin), rows in ordered
        ]

    def curves(self) -> Iterator[Curve]:
        """The curves of its evaluated tickets; a point lacks what diverged."""
        several = {detail.round for detail in self.evaluations if detail.draw > 0}
        for detail in self.evaluations:
            name = curve_name(detail.round, detail.draw, detail.round in several)
            points = [
                (point.iteration, {name: value for name, value in point.values.items() if value is not None})
                for point in detail.curve
            ]
            yield Curve(name, points)


def curve_name(round: int, draw: int, several: bool) -> str:
    """What the curve of a judged ticket is called; with its draw where its round has several."""
    return f"round-{round:02d}" + (f"-draw-{draw}" if several else "")


def trials_of(results: Results) -> list[Trial]:
    """The trials, in the order of the results."""
    trials: dict[TrialId, Trial] = {}

    def trial(line: Row | Detail) -> Trial:
        place = (line.entry, line.model, line.data, line.seed)
        return trials.setdefault(place, Trial(*place))

    for row in results.rows:
        trial(row).rows.append(row)
    for detail in results.details:
        trial(detail).details.append(detail)
    return list(trials.values())


def metric_of(row: Row, final: bool) -> str:
    """`tickets/test/accuracy`, with `@500it` behind it away from the end of the run.

    Args:
        final: whether a judged run ends with it; of an analysis, what has no position is final.
    """
    parts = [ROLES[row.role], row.split, row.metric]
    if row.role == "analyse":
        parts, final = [ROLES[row.role], row.metric, row.split], not row.position
    return "/".join(filter(None, parts)) + ("" if final else f"@{row.position}")
