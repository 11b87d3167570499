from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path

import pytest
from engine.toy_runs import prepared
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from prunebench.api.events import Event
from prunebench.commands.terminal.durations import duration_text
from prunebench.commands.terminal.heartbeat import EVERY_SECONDS, FIRST_SECONDS
from prunebench.commands.terminal.progress import Bars, Lines, display, facts
from prunebench.commands.terminal.work_done import WorkDone
from prunebench.plan.trial import Plan
from prunebench.store.backend import Holder


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return prepared(tmp_path / "store").plan


@pytest.mark.parametrize("terminal", [True, False])
def test_what_keeps_a_phase_from_going_on_is_shown_with_its_name(plan: Plan, terminal: bool) -> None:
    key = plan.trials[1].evaluations[-1].run.key
    holder = Holder(4711, "node-3", 0.0).to_json()
    events = [
        Event("run-started", {"runs": 3, "phases": 6}),
        Event("phase-started", {"phase": "train", "key": key}),
        Event("phase-waiting", {"phase": "train", "key": key, "seconds": 5.1, "holder": holder}),
        Event("phase-waiting", {"phase": "train", "key": key, "seconds": 5.1, "holder": None}),
        Event("phase-restarted", {"phase": "train", "key": key, "error": "the worker ended with signal 9"}),
        Event("phase-started", {"phase": "train", "key": key}),
        Event("artifact-lost", {"address": "ab" * 32, "error": "artifact abab: gone"}),
        Event("phase-failed", {"key": key, "error": "it is broken", "traceback": ""}),
        Event("run-stopping", {"running": 2}),
    ]
    out = io.StringIO()
    shown = display(Console(file=out, force_terminal=terminal, width=200, highlight=False), plan, {})
    for event in events:
        shown(event)
    if isinstance(shown, Bars):
        assert len(shown._progress.tasks) == 1  # a phase that started twice had one line, and has none now
    shown.close()
    text = out.getvalue()
    assert "waiting: imp, round 2, seed 0: held by process 4711 on node-3, since 19" in text
    assert "waiting: imp, round 2, seed 0: held by another process" in text
    assert "started again: imp, round 2, seed 0: the worker ended with signal 9" in text
    assert "made again: artifact abab: gone" in text
    assert "failed: imp, round 2, seed 0: it is broken" in text
    assert "stopping: 2 running phases write a checkpoint" in text


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_says_something_within_ten_seconds_and_then_every_thirty(plan: Plan) -> None:
    out, clock = io.StringIO(), Clock()
    key = plan.trials[1].evaluations[-1].run.key
    shown = Lines(Console(file=out, width=80, highlight=False), plan, {key: 72_000}, clock)
    shown(Event("run-started", {"runs": 1, "phases": 3}))
    shown(Event("phase-started", {"phase": "train", "key": key}))
    at = []
    for second in range(200):
        clock.now = float(second)
        before = len(out.getvalue())
        shown.heartbeat.look()
        if len(out.getvalue()) > before:
            at.append(second)
    shown.close()
    assert at[0] <= 10
    assert FIRST_SECONDS < 10
    assert EVERY_SECONDS < 30
    assert all(later - earlier <= 30 for earlier, later in pairwise(at))
    lines = out.getvalue().splitlines()
    assert lines[0] == "1 training run to do"
    assert lines[1] == "0 of 1 training runs done; now: imp, round 2, seed 0"


def test_a_log_has_the_time_left_as_the_engine_tells_it_and_names_what_runs(plan: Plan) -> None:
    out, clock = io.StringIO(), Clock()
    key = plan.trials[1].evaluations[-1].run.key
    shown = Lines(Console(file=out, width=80, highlight=False), plan, {key: 8 * 24_000_000}, clock)
    shown(Event("run-started", {"runs": 1, "phases": 3}))
    shown(Event("phase-started", {"phase": "train", "key": key}))
    clock.now = 264.0
    news = {"iteration": 240_000, "stop": 24_000_000, "taken_up": 0, "loss": 0.25, "metric": "accuracy"}
    news |= {"unit": "fraction", "value": 0.931, "measured_at": 230_000}
    shown(Event("progress", {"phase": "train", "key": key, **news}))
    shown(Event("time-left", {"seconds": 26_100.0, "known": 1.0, "slots": 1}))
    clock.now = 294.0
    shown.heartbeat.look()
    shown.close()
    assert out.getvalue().splitlines()[-1] == (
        "0 of 1 training runs done, about 7 h 15 min left; "
        "now: imp, round 2, seed 0, 240,000/24,000,000 it  loss 0.250  accuracy 93.1%"
    )


def test_a_measurement_that_lies_far_back_says_where_it_is_of() -> None:
    news = {"iteration": 4_000, "stop": 10_000, "loss": 0.25, "metric": "accuracy", "unit": "fraction", "value": 0.1}
    assert facts({**news, "measured_at": 0}) == "4,000/10,000 it  loss 0.250  accuracy 10.0% at 0 it"
    assert facts({**news, "measured_at": 3_900}) == "4,000/10,000 it  loss 0.250  accuracy 10.0%"


@pytest.mark.parametrize("terminal", [True, False])
def test_work_that_trains_nothing_is_named_while_it_lasts(plan: Plan, terminal: bool) -> None:
    out, clock = io.StringIO(), Clock()
    key = next(key for key, phase in plan.phases.items() if phase.kind == "prune")
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
    shown = Bars(console, plan, {}) if terminal else Lines(console, plan, {}, clock)
    shown(Event("run-started", {"runs": 1, "phases": 3}))
    shown(Event("phase-started", {"phase": "prune", "key": key}))
    if isinstance(shown, Lines):
        clock.now = 30.0
        shown.heartbeat.look()
    else:
        shown._progress.refresh()
    assert "pruning by magnitude, round 1, seed 0" in out.getvalue()
    shown(Event("phase-done", {"phase": "prune", "key": key, "seconds": 30.0}))
    if isinstance(shown, Lines):
        clock.now = 60.0
        shown.heartbeat.look()
        assert out.getvalue().splitlines()[-1] == "0 of 1 training runs done; between trainings"
    else:
        assert len(shown._progress.tasks) == 1
    shown.close()


def test_a_run_that_serves_several_entries_says_so(plan: Plan) -> None:
    from prunebench.commands.terminal.labels import labels_of

    labels = labels_of(plan)
    sharing = {
        key: {t.entry for t in plan.trials if key in t.finds or key in {e.run.key for e in t.evaluations}}
        for key in labels
    }
    assert any(len(entries) > 1 for entries in sharing.values())
    for key, entries in sharing.items():
        others = len(entries) - 1
        found = re.search(r" and (\d+) other entr(y|ies)", labels[key])
        assert (int(found[1]) if found else 0) == others


@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 1)), min_size=1, max_size=8))
def test_work_is_done_as_far_as_each_run_is_and_what_failed_is_none_of_it(runs: list[tuple[int, float]]) -> None:
    work = {str(number): amount for number, (amount, _) in enumerate(runs)}
    counted = WorkDone(work)
    for key, (amount, share) in zip(work, runs, strict=True):
        counted.advance(key, int(amount * share))
    assert counted.done == sum(int(amount * share) for amount, share in runs)
    counted.drop("0")
    assert counted.total == sum(work.values()) - work["0"]
    for key in work:
        counted.finish(key)
    assert counted.done == counted.total


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (43, "45 s"),
        (58, "1 min"),
        (1_400, "23 min"),
        (3_590, "1 h"),
        (26_553, "7 h 25 min"),
        (12_448_758, "144 d 2 h"),
    ],
)
def test_a_duration_is_in_the_units_that_a_person_would_choose(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 10**9))
def test_a_duration_is_near_what_it_is_of_and_has_no_unit_too_many(seconds: float) -> None:
    text = duration_text(seconds)
    sizes = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
    parts = text.replace(",", "").split()
    numbers = [(int(number), sizes[unit]) for number, unit in zip(parts[::2], parts[1::2], strict=True)]
    assert sum(number * size for number, size in numbers) == pytest.approx(seconds, rel=0.08, abs=3)
    assert all(number * size < above for (number, size), (_, above) in zip(numbers[1:], numbers, strict=False))
