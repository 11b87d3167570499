"""Events of a run -> what a tracker draws while it goes on, under the names that the finished results have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prunebench.api.events import Event
from prunebench.api.rows import Row
from prunebench_plugins.trackers._series import Tickets, Trial, curve_name


@dataclass(frozen=True)
class LivePoint:
    """A point of a training curve of one trial."""

    trial: int
    curve: str
    iteration: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class LiveTicket:
    """A judged ticket of one trial."""

    trial: int
    ticket: Tickets


class LiveTrials:
    """The trials of a run, as its first event names them, and what is told of them."""

    def __init__(self, started: Mapping[str, Any]) -> None:
        self.benchmark = str(started["benchmark"])
        self.described: list[dict[str, Any]] = list(started["trials"])

    def trial(self, index: int) -> Trial:
        """A trial without its rows."""
        one = self.described[index]
        return Trial(one["entry"], one["model"], one["data"], one["seed"])

    def news(self, event: Event) -> Iterator[LivePoint | LiveTicket]:
        """What an event says of trials."""
        fields = event.fields
        if event.kind == "measured":
            for run in fields["runs"]:
                name = curve_name(run["round"], run["draw"], run["draws"] > 1)
                for point in fields["points"]:
                    values = {key: value for key, value in point["values"].items() if value is not None}
                    yield LivePoint(run["trial"], name, point["iteration"], values)
        elif event.kind == "ticket":
            trial = self.trial(fields["trial"])
            trial.rows.extend(Row.model_validate_json(json.dumps(row)) for row in fields["rows"])
            for ticket in trial.tickets():
                yield LiveTicket(fields["trial"], ticket)
