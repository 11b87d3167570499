from __future__ import annotations

import io
from pathlib import Path

import pytest
from engine.toy_runs import prepared
from rich.console import Console

from prunebench.api.events import Event
from prunebench.commands.terminal.progress import Bars, display
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
    shown = display(Console(file=out, force_terminal=terminal, width=200, highlight=False), plan, 100)
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
