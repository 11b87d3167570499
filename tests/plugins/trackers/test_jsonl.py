import json
import math
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.errors import ConfigError
from prunebench.api.events import Event
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager


def tracked(folder: Path, *events: Event, path: str = "events.jsonl") -> list[dict[str, Any]]:
    use = Catalogue.load().use({"use": "jsonl", "path": path}, slot="track")
    hooks = run_manager([use]).hook
    for count, event in enumerate(events, start=1):
        hooks.prunebench_track(event=event, folder=folder)
        assert len((folder / path).read_text().splitlines()) >= count
    return [json.loads(line) for line in (folder / path).read_text().splitlines()]


def test_every_event_is_a_line_and_is_there_at_once(tmp_path: Path) -> None:
    events = (Event("run-started", {"seeds": [0, 1]}), Event("row", {"kind": "x", "text": "two\nlines"}))
    lines = tracked(tmp_path / "board", *events, path="logs/run/events.jsonl")
    assert [(line["event"], line["fields"]) for line in lines] == [
        ("run-started", {"seeds": [0, 1]}),
        ("row", {"kind": "x", "text": "two\nlines"}),
    ]
    assert lines[0]["time"] <= lines[1]["time"]


def test_a_second_run_appends(tmp_path: Path) -> None:
    tracked(tmp_path, Event("run-started"))
    assert [line["event"] for line in tracked(tmp_path, Event("run-finished"))] == ["run-started", "run-finished"]


def test_a_diverged_loss_is_null(tmp_path: Path) -> None:
    fields = {"value": math.nan, "curve": (1.0, math.inf), "nested": {"loss": -math.inf}}
    (line,) = tracked(tmp_path, Event("row", fields))
    assert line["fields"] == {"value": None, "curve": [1.0, None], "nested": {"loss": None}}


def test_the_path_has_a_default() -> None:
    assert Catalogue.load().use("jsonl").config.model_dump() == {"path": "events.jsonl"}


def test_a_value_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        tracked(tmp_path, Event("row", {"value": object()}))


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/x.jsonl", "../x.jsonl", "a/../../x.jsonl", "~/x.jsonl", "", ".", "a\\b.jsonl", "a\n.jsonl", "\0.jsonl"),
        *(".bashrc", ".gitignore", "a/.git/x.jsonl"),
    ],
)
def test_a_path_outside_the_folder_or_a_hidden_one_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"is no path below|is hidden"):
        Catalogue.load().use({"use": "jsonl", "path": path}, slot="track")


@pytest.mark.parametrize("path", ["events.jsonl", "logs/events.jsonl"])
def test_a_link_on_the_way_is_not_followed(tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "events.jsonl").write_text("mine\n")
    board = tmp_path / "board"
    board.mkdir()
    first = path.split("/")[0]
    (board / first).symlink_to(outside / "events.jsonl" if first == path else outside)
    with pytest.raises(OSError, match=r"symbolic link"):
        tracked(board, Event("row"), path=path)
    assert (outside / "events.jsonl").read_text() == "mine\n"
