"""Trackers and reporters that fail, cheat or leave what they should not."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunebench import Component, ComponentConfig, PrunebenchError, hookimpl
from prunebench.api.component import BoundComponent
from prunebench.api.events import Event
from prunebench.api.results import Results
from prunebench.components.catalogue import Catalogue
from prunebench.results.folder import read_results
from prunebench.results.manifest import check_manifest, foreign_files, read_manifest
from prunebench.runner.components import Trackers, text_of
from prunebench.runner.publishing import _write
from prunebench.testing import toy_results


class Reporter:
    """Does as a test says."""

    act: Callable[[Results, Path], Any]

    @hookimpl
    def prunebench_report(self, results: Results, folder: Path) -> Any:
        return type(self).act(results, folder)


class Tracker:
    """The same for events."""

    act: Callable[[Event], Any]

    @hookimpl
    def prunebench_track(self, event: Event) -> Any:
        return type(self).act(event)


def bound(base: type, slot: str, *acts: Callable[..., Any]) -> list[BoundComponent]:
    kinds = [type(f"{base.__name__}{place}", (base,), {"act": staticmethod(act)}) for place, act in enumerate(acts)]
    components = [
        Component(f"{slot}-{place}", ComponentConfig, lambda config, kind=kind: kind(), version=1)  # type: ignore[misc]
        for place, kind in enumerate(kinds)
    ]
    catalogue = Catalogue.load().with_components(components, "stranger 1.0")
    return [catalogue.use(component.name, slot=slot) for component in components]


def reported(folder: Path, *acts: Callable[[Results, Path], Any]) -> list[str]:
    """The complaints of a leaderboard's writing with these reporters."""
    complaints: list[str] = []
    _write(folder, toy_results(), bound(Reporter, "report", *acts), complaints.append)
    return complaints


def stand(results: Results, folder: Path) -> None:
    (folder / "count.txt").write_text(str([row.value for row in results.rows]))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("honest")
    assert reported(folder, stand) == []
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def set_every_value(results: Results, folder: Path) -> None:
    for row in results.rows:
        row.__dict__["value"] = 1.0
    results.provenance.environment["torch"] = "forged"  # type: ignore[index]


def forge_the_files(results: Results, folder: Path) -> None:
    text = (folder / "results.jsonl").read_text()
    (folder / "results.jsonl").write_text(text.replace("0.8", "1.0"))
    (folder / "README.md").unlink()
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").mkdir()


def leave_links(results: Results, folder: Path) -> None:
    (folder / "mine").symlink_to("/etc/passwd")
    (folder / "table.tex").unlink()
    (folder / "table.tex").symlink_to("/etc/passwd")


def remove_the_mark(results: Results, folder: Path) -> None:
    (folder / ".unfinished").rmdir()


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (set_every_value, None),
        (forge_the_files, "it changed README.md, curves.svg, results.jsonl; a report may only add files"),
        (leave_links, "it left table.tex, which is no file of its own and was removed"),
        (lambda results, folder: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda results, folder: sys.exit(0), "SystemExit: 0"),
        (lambda results, folder: object(), None),
        (remove_the_mark, None),
    ],
)
def test_a_report_costs_nothing_but_its_own_output(
    tmp_path: Path, honest: dict[str, bytes], act: Callable[[Results, Path], Any], complaint: str | None
) -> None:
    complaints = reported(tmp_path / "board", act, stand)
    assert contents(tmp_path / "board") == honest
    assert check_manifest(tmp_path / "board") == []
    assert foreign_files(tmp_path / "board") == []
    assert all(text.startswith('component "report-0" (stranger 1.0): ') for text in complaints)
    assert any(complaint in text for text in complaints) if complaint else not complaints


def test_a_report_adds_files_also_in_folders_and_the_manifest_lists_them(tmp_path: Path) -> None:
    def add(results: Results, folder: Path) -> None:
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures" / "a.svg").write_text("<svg/>")

    assert reported(tmp_path, add) == []
    (tmp_path / "pictures" / "a.svg").write_text("other")
    assert check_manifest(tmp_path) == ["pictures/a.svg was edited: its sha256 is not the manifest's"]
    (tmp_path / "pictures" / "b.svg").write_text("")
    assert foreign_files(tmp_path) == ["pictures/b.svg"]


def test_a_link_that_was_there_before_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    board = tmp_path / "board"
    reported(board)
    (board / "tensorboard").symlink_to(outside)
    before = contents(board)
    with pytest.raises(PrunebenchError, match="tensorboard: a link or a device"):
        reported(board, stand)
    assert contents(board) == before


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    reported(tmp_path)
    again = read_results(tmp_path)
    assert [*again.rows] == [*toy_results().rows]
    assert [*again.details] == [*toy_results().details]


def test_a_tracker_that_fails_is_named_once_and_the_others_see_everything(tmp_path: Path) -> None:
    seen: list[Event] = []
    complaints: list[str] = []

    def forge(event: Event) -> None:
        event.fields["value"] = 1.0  # type: ignore[index]
        event.fields["curve"].append(7)

    def leave(event: Event) -> None:
        sys.exit(0)

    trackers = Trackers(bound(Tracker, "track", leave, forge, seen.append), tmp_path, complaints.append)
    event = Event("row", {"value": 0.5, "curve": [1]})
    trackers(event)
    trackers(event)
    assert complaints == ['component "track-0" (stranger 1.0): SystemExit: 0']
    assert seen == [Event("row", {"value": 0.5, "curve": [1]})] * 2 == [event] * 2


def test_what_trackers_log_is_not_published(tmp_path: Path) -> None:
    def log(results: Results, folder: Path) -> None:
        (folder / "log" / "events.jsonl").write_text("{}")

    Trackers(bound(Tracker, "track", print), tmp_path, print)
    assert reported(tmp_path, log) == []
    assert foreign_files(tmp_path) == []
    assert "log/events.jsonl" not in read_manifest(tmp_path).files


def test_a_log_that_is_a_link_is_an_error_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path.parent)
    with pytest.raises(PrunebenchError, match="log: cannot be written: it is a symbolic link"):
        Trackers(bound(Tracker, "track", print), tmp_path, print)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("x" * 5_000_000), "ValueError: " + "x" * 2000 + "..."),
        (Mute(), "Mute: its text cannot be read"),
        (KeyError(), "KeyError"),
        (ValueError("a\x1b[31m\u202eb\0c\n d"), "ValueError: a [31m b c d"),
    ],
)
def test_an_error_is_text_of_a_readable_length_on_one_line(error: BaseException, text: str) -> None:
    assert text_of(error) == text
