"""Reading a folder neither acts nor leaves anything outside."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from prunebench.commands.main import main
from prunebench.results.writing import seal

BOARD = Path(__file__).parents[2] / "leaderboards" / "decoupled-resnet8-cifar10-reduced"
ALSO = {"use": "early-stopping", "version": 1, "config": {}}


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A leaderboard whose provenance names a report."""
    board = Path(shutil.copytree(BOARD, tmp_path / "board"))
    name(board, ALSO)
    return board


def name(board: Path, *also: object) -> None:
    provenance = json.loads((board / "provenance.json").read_text())
    provenance["also"] = also
    (board / "provenance.json").write_text(json.dumps(provenance))
    seal(board)


def prunebench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("verb", ["report", "merge"])
def test_what_a_folder_names_to_report_with_acts_only_when_asked(board: Path, tmp_path: Path, verb: str) -> None:
    out = board if verb == "report" else tmp_path / "merged"
    arguments = ["report", board] if verb == "report" else ["merge", board, "--out", out]
    done = prunebench(*arguments)
    assert done.exit_code == 0, done.output
    assert "Not run: early-stopping. --also lets these reports write and publish." in done.stderr
    assert not (out / "early-stopping.md").exists()
    done = prunebench(*arguments, "--also")
    assert done.exit_code == 0, done.output
    assert "Not run" not in done.stderr
    assert (out / "early-stopping.md").exists()


@pytest.mark.parametrize(
    ("also", "error"),
    [
        ({}, "also: report 1 is none: KeyError: 'use'"),
        ({"use": 7, "version": 1, "config": {}}, "report 1 is none"),
        ({**ALSO, "config": []}, "report 1 is none"),
        ({**ALSO, "config": {"x": 1}}, "report 1 is none"),
        ({**ALSO, "version": 9}, "version"),
        ({**ALSO, "use": "nothing\x1b[31m"}, "no component"),
        ({"use": "magnitude", "version": 1, "config": {}}, "prunebench_report"),
    ],
)
def test_what_is_no_report_is_a_sentence_and_changes_nothing(board: Path, also: object, error: str) -> None:
    name(board, also)
    before = {path.name: path.read_bytes() for path in board.iterdir()}
    done = prunebench("report", board, "--also")
    assert done.exit_code == 2, done.output
    assert error in done.output
    assert "\x1b" not in done.output
    assert {path.name: path.read_bytes() for path in board.iterdir()} == before


def test_a_readme_that_is_a_link_is_an_error_and_what_it_points_at_stays(board: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (board / "README.md").unlink()
    (board / "README.md").symlink_to(mine)
    done = prunebench("report", board)
    assert done.exit_code == 2
    assert "README.md: a link or a device, which is not followed" in done.output
    assert mine.read_text() == "precious"
