import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prunebench import PrunebenchError
from prunebench.results import writing
from prunebench.results.manifest import UNFINISHED, check_manifest, read_manifest
from prunebench.results.writing import complete, replacing, seal
from prunebench.runner.publishing import report_again

BOARD = Path(__file__).parents[2] / "leaderboards" / "quickstart"

OLD = {name: f"old {name}" for name in ("README.md", "curves.svg", "results.jsonl", "ranks.svg")}
NEW = {name: f"new {name}" for name in ("README.md", "curves.svg", "results.jsonl")}


def change(folder: Path, files: dict[str, str]) -> None:
    with replacing(folder, ["ranks.svg"]) as aside:
        for name, text in files.items():
            (aside / name).write_text(text)
    seal(folder)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != "manifest.json" and path.is_file()}


@pytest.fixture
def board(tmp_path: Path) -> Path:
    change(tmp_path / "board", OLD)
    return tmp_path / "board"


def test_a_set_of_files_takes_the_place_of_another(board: Path) -> None:
    assert content(board) == OLD
    (board / "findings.md").write_text("mine")
    change(board, NEW)
    assert content(board) == {**NEW, "findings.md": "mine"}
    assert check_manifest(board) == []
    assert {path.name for path in board.iterdir()} == {*NEW, "findings.md", "manifest.json"}


CALLS = ("open", "write", "fsync", "rename", "replace", "unlink", "mkdir", "rmdir")


def dies_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that dies before its `step`-th call that changes files; whether it lived to the end."""
    child = os.fork()
    if child == 0:
        left = step
        code = 1

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def made(*arguments: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return call(*arguments, **options)

            return made

        try:
            for name in CALLS:
                setattr(os, name, counted(getattr(os, name)))
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 0


@pytest.mark.parametrize("first", [OLD, {}], ids=["another", "the first"])
def test_a_kill_at_any_step_leaves_the_old_set_the_new_one_or_a_folder_that_says_so(
    tmp_path: Path, first: dict[str, str]
) -> None:
    seen = set()
    for step in range(200):
        board = tmp_path / f"{step}"
        if first:
            change(board, first)
        lived = dies_at(step, lambda board=board: change(board, NEW))  # type: ignore[misc]
        if (board / UNFINISHED).exists():
            seen.add("incomplete")
            with pytest.raises(PrunebenchError, match=r"incomplete: writing it was interrupted\. `prunebench report"):
                read_manifest(board)
            assert complete(board)
            seal(board)
            assert content(board) in (NEW, {**NEW, "ranks.svg": OLD["ranks.svg"]})
        elif (board / "manifest.json").exists():
            seen.add("new" if content(board) == NEW else "old")
            assert content(board) in (first, NEW)
        else:
            seen.add("nothing")
            assert not board.exists() or content(board) == {}
        if (board / "manifest.json").exists():
            assert check_manifest(board) == []
        change(board, NEW)  # whatever was left in it, the next change finds its way
        assert content(board) == NEW
        if lived:
            break
    assert lived
    assert step > 15
    assert seen >= {"incomplete", "new"}


def test_a_disk_that_is_full_leaves_what_was_there(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in board.iterdir()}

    def full(path: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(PrunebenchError, match=r"cannot be written: No space left on device\. .* is unchanged\."):
        change(board, NEW)
    assert {path.name: path.read_bytes() for path in board.iterdir()} == before


def test_a_limit_on_the_size_of_files_leaves_what_was_there(board: Path) -> None:
    """Of a process of its own: a limit cannot be lifted again."""
    before = {path.name: path.read_bytes() for path in board.iterdir()}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            change(board, {"README.md": "short", "results.jsonl": "x" * 2000})
        except PrunebenchError as error:
            code = 7 if "File too large" in str(error) and "is unchanged" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert {path.name: path.read_bytes() for path in board.iterdir()} == before


@pytest.mark.parametrize("name", ["README.md", "ranks.svg", "manifest.json"])
def test_a_link_in_the_place_of_a_file_is_an_error_and_is_not_followed(board: Path, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (board / name).unlink()
    (board / name).symlink_to(mine)
    with pytest.raises(PrunebenchError, match=rf"{name}: a link or a device, which is not followed"):
        change(board, NEW)
    assert mine.read_text() == "precious"


def test_a_folder_in_the_place_of_a_file_is_an_error(board: Path) -> None:
    (board / "README.md").unlink()
    (board / "README.md").mkdir()
    with pytest.raises(PrunebenchError, match=r"README\.md: not a regular file; remove it"):
        change(board, NEW)
    assert (board / "curves.svg").read_text() == "old curves.svg"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match=r"file/board: cannot be written: Not a directory"):
        change(tmp_path / "file" / "board", NEW)


def test_links_of_a_stranger_in_our_own_places_are_not_followed(board: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "README.md").write_text("precious")
    (board / ".aside").symlink_to(outside)
    change(board, NEW)
    assert content(board) == NEW
    (board / UNFINISHED).symlink_to(outside)
    with pytest.raises(PrunebenchError, match="a symbolic link, which is not followed"):
        change(board, NEW)
    assert [path.name for path in outside.iterdir()] == ["README.md"]


def test_report_completes_what_was_interrupted_and_refuses_a_broken_manifest(tmp_path: Path) -> None:
    board = Path(shutil.copytree(BOARD, tmp_path / "board"))
    report_again(board)
    whole = {path.name: path.read_bytes() for path in board.iterdir()}
    (board / UNFINISHED).mkdir()
    for name in ("results.jsonl", "README.md"):
        (board / name).rename(board / UNFINISHED / name)
    with pytest.raises(PrunebenchError, match="incomplete"):
        check_manifest(board)
    report_again(board)
    assert {path.name: path.read_bytes() for path in board.iterdir()} == whole
    (board / "manifest.json").write_bytes(whole["manifest.json"].replace(b'"schema": 1', b'"schema": 2'))
    with pytest.raises(PrunebenchError, match=r"manifest\.json: it was edited"):
        report_again(board)
    (board / "manifest.json").unlink()
    with pytest.raises(PrunebenchError, match=r"not a leaderboard: it has no manifest\.json"):
        report_again(board)
    assert {name: (board / name).read_bytes() for name in whole if name != "manifest.json"} == {
        name: whole[name] for name in whole if name != "manifest.json"
    }


@pytest.mark.parametrize("attempt", range(4))
def test_a_command_that_is_killed_at_a_random_time_leaves_a_folder_that_report_repairs(
    tmp_path: Path, attempt: int
) -> None:
    board = Path(shutil.copytree(BOARD, tmp_path / "board"))
    report_again(board)
    whole = {path.name: path.read_bytes() for path in board.iterdir()}
    command = [sys.executable, "-c", "import sys; from prunebench.commands.main import main; main()", "report", board]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for_change(board, whole)
        time.sleep(random.Random(attempt).uniform(0, 0.05))
        process.kill()
    if not (board / UNFINISHED).exists():
        assert check_manifest(board) == []
    report_again(board)
    assert {path.name: path.read_bytes() for path in board.iterdir()} == whole


def wait_for_change(board: Path, whole: dict[str, bytes]) -> None:
    """Until the command begins to write."""
    end = time.monotonic() + 120
    while time.monotonic() < end and {path.name for path in board.iterdir()} == set(whole):
        time.sleep(0.001)
