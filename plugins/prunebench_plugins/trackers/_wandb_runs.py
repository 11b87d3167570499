"""Results -> the W&B runs to publish, as plain JSON: one for each trial, and one for the leaderboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.api.board import Board
from prunebench.api.keys import digest
from prunebench.api.report import RECORD_COLUMNS, board_records
from prunebench.api.results import Results
from prunebench_plugins.trackers._series import Tickets, Trial, trials_of

TAG, NAME, GROUP = 64, 128, 128
"""The most characters that W&B takes."""


COLUMNS = (
    *("entry", "model", "data", "seed", "round", "draw", "twin", "role", "density", "density_all"),
    *("position", "metric", "split", "value", "unit", "outcome", "key"),
)
"""The order of a row's fields, which differs between a run and a leaderboard that is read again."""


@dataclass(frozen=True)
class TicketFiles:
    """An evaluated ticket as an artifact: `addresses` says where the store has its mask and its weights."""

    name: str
    metadata: Mapping[str, Any]
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run as the client is told it, and the tickets that belong to it."""

    content: Mapping[str, Any]
    tickets: tuple[TicketFiles, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same trial of the same benchmark, whoever publishes it and when."""
        return str(self.content["id"])

    @property
    def digest(self) -> str:
        """Of everything that is published but the tickets' files."""
        return digest(self.content)


def runs_of(results: Results, board: Board, project: str, entity: str | None) -> list[Run]:
    """The trials in the order of the results; the leaderboard comes last."""
    place = {"project": project, "entity": entity, "group": results.name[:GROUP]}
    trials = trials_of(results)
    runs = [_trial(results, trial, place) for trial in trials]
    return [*runs, _leaderboard(results, board, trials, [run.id for run in runs], place)]


def _trial(results: Results, trial: Trial, place: Mapping[str, Any]) -> Run:
    keys = sorted({row.key for row in trial.rows if row.role != "analyse"})
    identity = identity_of(results.name, trial.entry, trial.model, trial.data, trial.seed, keys)
    metrics: dict[str, str] = {}
    history: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for ticket in trial.tickets():
        if ticket.density is None and ticket.round is None:
            summary |= ticket.values
            continue
        metrics |= dict.fromkeys(ticket.values, "density")
        history.append(ticket_line(ticket))
    for curve in trial.curves():
        for iteration, values in curve.points:
            named = {f"curves/{curve.name}/{name}": value for name, value in values.items()}
            metrics |= dict.fromkeys(named, "iteration")
            history.append({"iteration": iteration, **named})
    pictures = {
        f"figures/{detail.analysis}/{figure.name}": figure.svg for detail in trial.analyses for figure in detail.figures
    }
    content = {
        **place,
        "id": identity,
        "name": trial.name[:NAME],
        "job_type": "trial",
        "tags": _tags(results, trial.entry, trial.model, trial.data, *(["inapplicable"] if trial.inapplicable else [])),
        "notes": "\n\n".join([*trial.inapplicable, results.provenance.report.claim]).strip(),
        "config": {
            "benchmark": results.name,
            "entry": trial.entry,
            "model": trial.model,
            "data": trial.data,
            "seed": trial.seed,
            "keys": keys,
            **_provenance(results),
        },
        "metrics": _with_steps(metrics),
        "history": history,
        "summary": {**summary, "outcomes": _counted(row.outcome for row in trial.rows)},
        "tables": {},
        "pictures": pictures,
    }
    return Run(content, tuple(_tickets(trial, identity)))


def identity_of(benchmark: str, entry: str, model: str, data: str, seed: int, keys: Sequence[str]) -> str:
    """The id of a trial's run: that of the same trial of the same benchmark, whoever publishes it and when."""
    return digest([benchmark, entry, model, data, seed, list(keys)])[:16]


def ticket_line(ticket: Tickets) -> dict[str, Any]:
    """The line of a run's history for one ticket."""
    at = {"round": ticket.round, "draw": ticket.draw, "twin": ticket.twin, "outcome": ", ".join(ticket.outcomes)}
    densities = {"density": ticket.density, "density_all": ticket.density_all}
    known = {name: value for name, value in densities.items() if value is not None}
    return {**at, **known, **ticket.values}


def described_trial(benchmark: str, trial: Trial, keys: Sequence[str], place: Mapping[str, Any]) -> dict[str, Any]:
    """What the client is told of a trial when its run begins, before there are results."""
    named = {"entry": trial.entry, "model": trial.model, "data": trial.data, "seed": trial.seed}
    return {
        **place,
        "name": trial.name[:NAME],
        "job_type": "trial",
        "tags": [label[:TAG] for label in dict.fromkeys([trial.entry, trial.model, trial.data])],
        "config": {"benchmark": benchmark, **named, "keys": list(keys)},
    }


def _tickets(trial: Trial, identity: str) -> Iterator[TicketFiles]:
    densities = {(ticket.round, ticket.draw): ticket.density for ticket in trial.tickets()}
    for detail in trial.evaluations:
        named = re.sub(r"[^\w.-]+", "_", trial.entry)[:60]
        addresses = {part: detail.artifacts.get(part) for part in ("mask", "weights")}
        yield TicketFiles(
            f"ticket-{named}-round{detail.round}-draw{detail.draw}-{identity}",
            {
                "round": detail.round,
                "draw": detail.draw,
                "density": densities.get((detail.round, detail.draw)),
                "kept": {layer.name: layer.kept for layer in detail.layers},
                "start": detail.start,
                "key": detail.key,
                "addresses": dict(detail.artifacts),
            },
            {part: address for part, address in addresses.items() if address is not None},
        )


def _leaderboard(
    results: Results, board: Board, trials: Sequence[Trial], ids: Sequence[str], place: Mapping[str, Any]
) -> Run:
    report = results.provenance.report
    stated = {name for row in results.rows for name in row.model_fields_set}
    columns = [*COLUMNS, *sorted(stated - {*COLUMNS, "environments"})]
    lines = [row.to_json() for row in results.rows]
    everything = {"columns": columns, "data": [[line.get(name) for name in columns] for line in lines]}
    labels = [name for trial in trials for name in (trial.model, trial.data)]
    content = {
        **place,
        "id": digest([results.name, "leaderboard", sorted(ids)])[:16],
        "name": f"leaderboard, {results.name}"[:NAME],
        "job_type": "leaderboard",
        "tags": _tags(results, "leaderboard", *labels),
        "notes": "\n\n".join([report.claim, *report.notes]).strip(),
        "config": {"benchmark": results.name, "report": report.to_json(), "trials": list(ids), **_provenance(results)},
        "metrics": {},
        "history": [],
        "summary": {"trials": len(trials), "outcomes": _counted(row.outcome for row in results.rows)},
        "tables": {
            "leaderboard": {"columns": list(RECORD_COLUMNS), "data": list(map(list, board_records(board)))},
            "results": everything,
        },
        "pictures": {},
    }
    return Run(content)


def _provenance(results: Results) -> dict[str, Any]:
    # Not what differs from one invocation to the next, such as seconds: that is no reason to publish again.
    kept = ("profile", "settings", "prunebench", "environment", "hardware", "components")
    fields = results.provenance.to_json()
    return {name: fields[name] for name in kept if name in fields}


def _tags(results: Results, *labels: str) -> list[str]:
    profile = results.provenance.profile
    return [label[:TAG] for label in dict.fromkeys([*labels, *([profile] if profile else [])])]


def _counted(outcomes: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for outcome in outcomes:
        found[outcome] = found.get(outcome, 0) + 1
    return dict(sorted(found.items()))


def _with_steps(metrics: Mapping[str, str]) -> dict[str, str | None]:
    """The metrics, each after the one that is its horizontal axis."""
    return {**dict.fromkeys(metrics.values()), **metrics}


def leaderboard_files(folder: Path, own: Path) -> list[Path]:
    """What is published of a leaderboard's folder: everything but trackers' logs, hidden files and the manifest.

    The manifest is made once all reports have written; what is there before is of the last time.
    """
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and own not in path.parents
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and "tfevents" not in path.name
        and path != folder / "manifest.json"
    ]
