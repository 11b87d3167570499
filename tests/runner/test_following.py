"""What trackers are told while a run goes on is what the finished results say, for every trial that a phase serves."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.details import EvaluationDetail
from prunebench.api.events import Event
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.running import Outcome, run
from prunebench.testing import toy_catalogue
from prunebench_plugins.trackers._live import LivePoint, LiveTicket, LiveTrials
from prunebench_plugins.trackers._series import trials_of

FILE = """
schema = 1
seeds = [0, 1]
cut = 0.2
rounds = 2
data = "toy-data"
model = "toy-net"

[train]
horizon = "24it"
batch = 8
optimizer = { use = "sgd", lr = 0.1 }

[measure]
every = "8it"
at = ["16it"]

[[entry]]
name = "dense"
units = "toy-units"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
units = "toy-units"

[[entry]]
name = "reinit"
tickets = "imp"
ticket = ["reinit"]
draws = 2

[execution]
workers = 0
track = ["jsonl", "tensorboard"]
"""


def executed(folder: Path) -> tuple[Outcome, list[Event]]:
    file = folder / "toy.toml"
    file.write_text(FILE)
    complaints: list[str] = []
    prepared = prepare(Options(file, store=folder / "store"), toy_catalogue())
    outcome = run(prepared, catalogue=toy_catalogue(), folder=folder / "board", complain=complaints.append)
    assert complaints == []
    log = folder / "board" / "log" / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = [Event(line["event"], line["fields"]) for line in lines]
    (last,) = [i for i, event in enumerate(events) if event.kind == "run-started"][-1:]
    return outcome, events[last:]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, list[Event], Path]:
    folder = tmp_path_factory.mktemp("following")
    return (*executed(folder), folder)


def told(events: list[Event]) -> tuple[Counter[Any], list[Any]]:
    """Every point of every trial's curves with how often it was told, and the rows of all tickets."""
    trials = LiveTrials(events[0].fields)
    points: Counter[Any] = Counter()
    for event in events:
        for news in trials.news(event):
            if isinstance(news, LivePoint):
                name = trials.trial(news.trial).name
                points.update((name, news.curve, news.iteration, key, value) for key, value in news.values.items())
            else:
                assert isinstance(news, LiveTicket)
    return points, [row for event in events if event.kind == "ticket" for row in event.fields["rows"]]


def of_results(outcome: Outcome) -> set[Any]:
    return {
        (trial.name, curve.name, iteration, key, value)
        for trial in trials_of(outcome.results)
        for curve in trial.curves()
        for iteration, values in curve.points
        for key, value in values.items()
    }


def by_text(rows: list[Any]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_every_point_and_every_row_is_told_once_to_each_trial(both: tuple[Outcome, list[Event], Path]) -> None:
    outcome, events, _ = both
    points, rows = told(events)
    assert set(points.values()) == {1}
    assert set(points) == of_results(outcome)
    assert by_text(rows) == by_text([row.to_json() for row in outcome.rows])


def test_a_shared_phase_names_every_trial_that_it_serves(both: tuple[Outcome, list[Event], Path]) -> None:
    outcome, events, _ = both
    trials = events[0].fields["trials"]
    dense = {d.key for d in outcome.details if isinstance(d, EvaluationDetail) and d.entry == "dense" and d.seed == 0}
    (done,) = [event for event in events if event.kind == "phase-done" and event.fields["key"] in dense]
    served = [(trials[index]["entry"], trials[index]["seed"]) for index in done.fields["trials"]]
    assert served == [("dense", 0), ("imp", 0), ("reinit", 0)]


def test_a_run_that_is_taken_up_again_tells_everything_anew(both: tuple[Outcome, list[Event], Path]) -> None:
    _, first, folder = both
    again = folder / "again"
    shutil.copytree(folder / "store", again / "store")
    gone = [p for p in (again / "store").rglob("*") if p.is_file() and "curve" in p.name][::2]
    for path in gone:
        path.unlink()
    outcome, events = executed(again)
    points, rows = told(events)
    assert set(points.values()) == {1}
    assert set(points) == of_results(outcome) == set(told(first)[0])
    assert by_text(rows) == by_text(told(first)[1])


def test_tensorboard_has_the_same_while_the_run_goes_on(both: tuple[Outcome, list[Event], Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome, _, folder = both
    found = set()
    names = {trial.name: trial for trial in trials_of(outcome.results)}
    from prunebench_plugins.trackers.tensorboard import folder_of

    for name, trial in names.items():
        read = EventAccumulator(str(folder / "board" / "log" / "tensorboard" / folder_of(trial))).Reload()
        for tag in read.Tags()["scalars"]:
            if tag.startswith("curves/"):
                curve, _, key = tag.removeprefix("curves/").partition("/")
                found |= {(name, curve, point.step, key, point.value) for point in read.Scalars(tag)}
    wanted = of_results(outcome)
    assert {entry[:4] for entry in found} == {entry[:4] for entry in wanted}
    values = {entry[:4]: entry[4] for entry in found}
    assert all(values[entry[:4]] == pytest.approx(entry[4], rel=1e-6) for entry in wanted)
