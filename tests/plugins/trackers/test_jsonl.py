import json
import math
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.events import Event
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager


def tracked(path: Path, *events: Event) -> list[dict[str, Any]]:
    use = Catalogue.load().use({"use": "jsonl", "path": str(path)}, slot="track")
    hooks = run_manager([use]).hook
    for count, event in enumerate(events, start=1):
        hooks.prunebench_track(event=event)
        assert len(path.read_text().splitlines()) >= count
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_event_is_a_line_and_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "events.jsonl"
    lines = tracked(path, Event("run-started", {"seeds": [0, 1]}), Event("row", {"kind": "x", "text": "two\nlines"}))
    assert [(line["event"], line["fields"]) for line in lines] == [
        ("run-started", {"seeds": [0, 1]}),
        ("row", {"kind": "x", "text": "two\nlines"}),
    ]
    assert lines[0]["time"] <= lines[1]["time"]


def test_a_second_run_appends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tracked(path, Event("run-started"))
    assert [line["event"] for line in tracked(path, Event("run-finished"))] == ["run-started", "run-finished"]


def test_a_diverged_loss_is_null(tmp_path: Path) -> None:
    fields = {"value": math.nan, "curve": (1.0, math.inf), "nested": {"loss": -math.inf}}
    (line,) = tracked(tmp_path / "events.jsonl", Event("row", fields))
    assert line["fields"] == {"value": None, "curve": [1.0, None], "nested": {"loss": None}}


def test_the_path_has_a_default() -> None:
    assert Catalogue.load().use("jsonl").config.model_dump() == {"path": "events.jsonl"}


def test_a_value_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        tracked(tmp_path / "events.jsonl", Event("row", {"value": object()}))
