"""A leaderboard that a web server shows, read like the folder itself."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench import load_results
from prunebench.api.errors import PrunebenchError
from prunebench.commands.main import main
from prunebench.results import remote
from prunebench.results.folder import read_results

BOARD = Path(__file__).parents[2] / "leaderboards" / "quickstart"


@dataclass
class Shown:
    """A folder as a web server shows it."""

    folder: Path
    url: str


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *arguments: object) -> None:
        """Stay quiet."""


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    folder = tmp_path / "web" / "boards" / "quickstart"
    shutil.copytree(BOARD, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Shown(folder, f"http://127.0.0.1:{server.server_port}/boards/quickstart")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("end", ["", "/", "/manifest.json", "/README.md", "/index.html"])
def test_its_address_gives_what_its_folder_gives(shown: Shown, end: str) -> None:
    there, here = load_results(shown.url + end), load_results(BOARD)
    assert there.name == here.name
    assert there.rows == here.rows
    assert there.details == here.details
    assert str(there) == str(here)


def test_the_command_compares_a_folder_with_an_address(shown: Shown) -> None:
    result = CliRunner().invoke(main, ["compare", str(BOARD), shown.url, "--json"])
    assert result.exit_code == 0, result.output
    assert result.output == CliRunner().invoke(main, ["compare", str(BOARD), str(BOARD), "--json"]).output


@pytest.mark.parametrize("name", ["results.jsonl", "details.jsonl", "provenance.json", "manifest.json"])
def test_what_was_edited_is_named_by_its_address(shown: Shown, name: str) -> None:
    path = shown.folder / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(PrunebenchError, match=f"^{shown.url}.*{name}") as error:
        load_results(shown.url)
    assert "prunebench-results-" not in str(error.value)


@pytest.mark.parametrize("name", ["results.jsonl", "manifest.json"])
def test_what_is_missing_is_named_and_the_error_says_what_is_asked_for(shown: Shown, name: str) -> None:
    (shown.folder / name).unlink()
    with pytest.raises(PrunebenchError, match=f"{shown.url}/{name}: cannot be read: .*raw files"):
        load_results(shown.url)


def test_a_page_in_place_of_a_manifest_is_no_leaderboard(shown: Shown) -> None:
    (shown.folder / "manifest.json").write_text("<!doctype html><title>Leaderboards</title>")
    with pytest.raises(PrunebenchError, match=r"manifest\.json"):
        load_results(shown.url)


def test_no_more_is_taken_than_a_leaderboard_may_have(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(remote.MOST_BYTES, "results.jsonl", 1_000)
    with pytest.raises(PrunebenchError, match=r"results\.jsonl: cannot be read: it has more than 1,000 bytes"):
        load_results(shown.url)


def test_nobody_who_answers_is_an_error_with_the_address(shown: Shown) -> None:
    with pytest.raises(PrunebenchError, match=r"http://127\.0\.0\.1:1/board/manifest\.json: cannot be read"):
        load_results("http://127.0.0.1:1/board")


def test_a_folder_is_read_as_before() -> None:
    assert load_results(str(BOARD)).rows == list(read_results(BOARD).rows) == load_results(BOARD).rows
