"""How long a plan will take, before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine.toy_runs import FILE, catalogue, open_store, prepared, run

from prunebench.commands.terminal.estimates import long_plan, time_text
from prunebench.engine import calibration
from prunebench.engine.pace import Pace, kind_of
from prunebench.engine.scheduler import pace_name
from prunebench.runner.estimate import Estimate, estimate, profiles_of, shorter_profiles
from prunebench.runner.preparing import Options, Prepared, prepare

TWO = {"seeds": [0, 1], "execution": {"workers": 2}}


def with_paces(path: Path, **changes: Any) -> Prepared:
    """The toy benchmark on a store that knows it: a millisecond for an example, two under a mask."""
    ready = prepared(path, TWO, **changes)
    pace = Pace()
    for phase in ready.plan.runs:
        pace.add(kind_of(phase), 2.0 if phase.spec.mask is not None else 1.0, 1_000.0)  # type: ignore[union-attr]
    store = open_store(path)
    store.put_json(pace_name(store), pace.to_json())
    return ready


def test_without_an_earlier_run_and_a_calibration_nothing_is_said(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "store", TWO)
    found = estimate(ready, ready.open_store(), calibrate=False)
    assert (found.seconds, found.basis, found.entries) == (None, "nothing", {})
    assert "--calibrate" in time_text(found)


def test_earlier_runs_tell_how_long_each_kind_of_run_takes(tmp_path: Path) -> None:
    ready = with_paces(tmp_path / "store")
    found = estimate(ready, ready.open_store(), calibrate=True)
    # Of each seed: a dense run of 24 steps of 8, and two under masks after it, one after another.
    assert found.entries == pytest.approx({"dense": 2 * 0.192, "imp": 2 * (0.192 + 2 * 0.384)}, rel=0.01)
    assert found.seconds == pytest.approx(0.96, rel=0.01)
    assert (found.slots, found.device, found.basis, found.known) == (2, "cpu", "earlier runs", 1.0)


def test_what_is_stored_takes_no_time(tmp_path: Path) -> None:
    run(tmp_path / "store", TWO, {"execution": {"workers": 0}})
    ready = prepared(tmp_path / "store", TWO)
    found = estimate(ready, ready.open_store(), calibrate=False)
    assert found.seconds == 0
    assert set(found.entries.values()) == {0.0}
    assert time_text(found) == "time: nothing is left to do"


def test_a_calibration_tries_each_kind_once_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepared(tmp_path / "store", TWO)
    tried: list[int] = []
    real = calibration._timed
    monkeypatch.setattr(calibration, "_timed", lambda *given: tried.append(given[2]) or real(*given))
    first = estimate(ready, ready.open_store(), calibrate=True)
    assert tried == [8, 8]
    assert first.seconds is not None
    assert first.seconds > 0
    assert first.basis == "a short calibration"
    assert estimate(ready, ready.open_store(), calibrate=True) == first
    assert tried == [8, 8]


def test_before_more_than_a_day_the_shorter_profiles_are_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(f'{FILE}\n[profile.smoke]\nrounds = 1\n\n[profile.long]\ntrain.horizon = "2400it"\n')
    assert profiles_of(file) == ["long", "smoke"]
    ready = prepare(Options(file, store=tmp_path / "store"), catalogue())
    store = ready.open_store()
    pace = Pace()
    for phase in ready.plan.runs:
        pace.add(kind_of(phase), 2.0 * 86_400, 192.0)
    store.put_json(pace_name(store), pace.to_json())
    whole = estimate(ready, store, calibrate=False)
    assert whole.seconds == pytest.approx(3 * 2 * 86_400, rel=0.01)
    shorter = shorter_profiles(ready, store, whole.seconds)
    assert list(shorter) == ["smoke"]
    text = long_plan(whole.seconds, shorter)
    assert text.startswith("warning: this takes more than a day (about 6 d).")
    assert "--profile smoke (about 4 d)" in text
    assert "no shorter profile" in long_plan(whole.seconds, {})


def test_what_rests_on_the_mean_pace_says_so() -> None:
    found = Estimate(7_200.0, 1, "cpu", {}, 0.25, "earlier runs")
    assert time_text(found) == (
        "time: about 2 h with 1 worker on cpu, by earlier runs; 75% of it is work unlike any known, at the mean pace"
    )
