"""How long a run will still take, from what was measured of it; and which work is of one kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.toy_runs import open_store, prepared, run
from prunebench.api.events import Event
from prunebench.engine.pace import Forecast, Pace, TimeLeft, amount, kind_of
from prunebench.engine.scheduler import pace_name

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}


def seconds(forecast: Forecast, longest: float = 0.0) -> float:
    left = forecast.left(longest)
    assert left is not None
    return left.seconds


def test_nothing_is_said_before_anything_is_known() -> None:
    forecast = Forecast(1)
    forecast.add("train x", 100.0)
    assert forecast.left() is None


def test_each_kind_goes_at_its_own_pace() -> None:
    forecast = Forecast(2)
    for kind in ("train x", "train y", "train x", "train y"):
        forecast.add(kind, 100.0)
    forecast.done("a", "train x", 100.0, 10.0, first=False)
    forecast.done("b", "train y", 100.0, 50.0, first=False)
    assert forecast.left() == TimeLeft(30.0, 1.0, 2)


def test_a_workers_first_work_counts_only_where_nothing_else_is_known() -> None:
    forecast = Forecast(1)
    forecast.add("train x", 300.0)
    forecast.done("a", "train x", 100.0, 100.0, first=True)
    assert seconds(forecast) == pytest.approx(200.0)
    forecast.done("b", "train x", 100.0, 10.0, first=False)
    assert seconds(forecast) == pytest.approx(10.0)


def test_a_run_under_way_tells_its_pace_by_its_steps_and_not_by_what_came_before_them() -> None:
    forecast = Forecast(1)
    forecast.add("train x", 100.0)
    forecast.started("a", "train x")
    forecast.progress("a", 10.0, 50.0)
    forecast.progress("a", 20.0, 51.0)
    assert seconds(forecast) == pytest.approx(8.0)


def test_work_that_waits_for_one_another_is_not_shared_among_slots() -> None:
    forecast = Forecast(8)
    forecast.add("train x", 800.0)
    forecast.done("0", "train x", 100.0, 10.0, first=False)
    assert seconds(forecast) == pytest.approx(70.0 / 8)
    assert seconds(forecast, longest=700.0) == pytest.approx(70.0)


def test_an_unknown_kind_goes_at_the_mean_pace_and_the_share_that_is_known_says_so() -> None:
    forecast = Forecast(1)
    forecast.add("train x", 100.0)
    forecast.add("train x", 100.0)
    forecast.add("train z", 100.0)
    forecast.done("a", "train x", 100.0, 10.0, first=False)
    assert forecast.left() == TimeLeft(20.0, 0.5, 1)


def test_an_earlier_run_counts_until_this_one_knows_better() -> None:
    earlier = Pace.from_json({"train x": [200.0, 100.0]})
    forecast = Forecast(1, earlier)
    forecast.add("train x", 100.0)
    forecast.add("train x", 100.0)
    assert seconds(forecast) == pytest.approx(400.0)
    forecast.done("a", "train x", 100.0, 10.0, first=False)
    assert seconds(forecast) == pytest.approx(10.0)


def test_what_was_resumed_tells_no_pace_since_less_was_done() -> None:
    forecast = Forecast(1, Pace.from_json({"train x": [100.0, 100.0]}))
    forecast.add("train x", 200.0)
    forecast.started("a", "train x")
    forecast.started("a", "train x")
    forecast.done("a", "train x", 100.0, 1.0, first=False)
    assert seconds(forecast) == pytest.approx(100.0)


@given(
    st.lists(st.tuples(st.sampled_from(["train x", "train y", "prune"]), st.floats(1, 1e4)), min_size=1, max_size=20),
    st.integers(1, 64),
)
def test_at_a_steady_pace_what_is_left_is_what_will_be_taken(work: list[tuple[str, float]], slots: int) -> None:
    pace = {"train x": 0.5, "train y": 2.0, "prune": 0.1}
    forecast = Forecast(slots, Pace.from_json({kind: [one, 1.0] for kind, one in pace.items()}))
    for kind, units in work:
        forecast.add(kind, units)
    total = sum(pace[kind] * units for kind, units in work)
    for number, (kind, units) in enumerate(work):
        assert seconds(forecast) == pytest.approx(total / slots, abs=1e-6)
        forecast.done(str(number), kind, units, pace[kind] * units, first=False)
        total -= pace[kind] * units
    assert seconds(forecast) == pytest.approx(0.0, abs=1e-6)


def test_kinds_tell_batches_and_masks_apart_and_neither_seeds_nor_densities(store_path: Path) -> None:
    entries = [{"name": "imp", **IMP}, {"name": "small", **IMP, "train": {"batch": 4}}]
    plan = prepared(store_path, seeds=[0, 1], rounds=3, entry=entries).plan
    kinds = {kind_of(run) for run in plan.runs}
    assert len(kinds) == 4  # two batches, each dense and under a mask
    assert {kind_of(plan.phases[key]) for key in plan.wanted} - kinds == {"init", "prune magnitude"}


def test_a_run_of_no_steps_is_of_a_kind_of_its_own(store_path: Path) -> None:
    judged = {"name": "judged", "units": "toy-units", "train": {"horizon": "0it"}}
    plan = prepared(store_path, entry=[judged, {"name": "dense", "units": "toy-units"}]).plan
    runs = [key for key in plan.wanted if plan.phases[key].kind == "train"]
    amounts = sorted(amount(plan.phases[key], plan.wanted[key]) for key in runs)
    (none, one), (some, units) = amounts[0], amounts[-1]
    assert {(kind.split()[0], units == 1.0) for kind, units in amounts} == {("judge", True), ("train", False)}
    forecast = Forecast(1, Pace.from_json({some: [1.0, units]}))
    forecast.add(none, one)
    assert forecast.left() is None  # how long measuring takes, no step tells
    forecast = Forecast(1, Pace.from_json({some: [1.0, units], none: [30.0, 1.0]}))
    forecast.add(none, 4.0)
    assert seconds(forecast) == pytest.approx(120.0)


def test_a_run_leaves_its_pace_in_the_store_for_the_next(store_path: Path) -> None:
    run(store_path, {"seeds": [0, 1]})
    store = open_store(store_path)
    pace = Pace.from_json(store.cached_json(pace_name(store)))
    assert any(kind.startswith("train ") for kind in pace.units)
    assert all(seconds > 0 for seconds in pace.seconds.values())


def test_a_run_says_how_long_it_will_take_and_trackers_do_not_record_it(
    store_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engine.parts import Watch
    from prunebench.engine import scheduler

    monkeypatch.setattr(scheduler, "FORECAST_SECONDS", 0.0)
    monkeypatch.setattr(Watch, "events", [])
    events: list[Event] = []
    run(store_path, {"execution": {"track": [{"use": "watch"}]}}, observe=events.append, folder=tmp_path / "board")
    left = [event.fields for event in events if event.kind == "time-left"]
    assert left
    assert all(fields["seconds"] >= 0 and 0 <= fields["known"] <= 1 and fields["slots"] == 1 for fields in left)
    assert left[-1]["seconds"] == 0
    assert Watch.events
    assert not any(event.kind == "time-left" for event in Watch.events)
