"""What lies in a folder is not lost by writing results into it, and one that cannot be written is told first."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench.api.errors import PrunebenchError
from prunebench.commands.main import main
from prunebench.results.rows import read_rows
from prunebench.runner.out_folder import Judged, check_out, expanded, judged_in
from prunebench.runner.preparing import data_root, default_store

QUICKSTART = Path(__file__).parents[2] / "leaderboards" / "quickstart"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return Path(shutil.copytree(QUICKSTART, tmp_path / "board"))


def judged() -> list[Judged]:
    return judged_in(read_rows(QUICKSTART))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_leaderboard_takes_its_own_place_and_that_of_a_part_of_it(board: Path, tmp_path: Path) -> None:
    before = files(board)
    check_out(board, judged())
    more = [((f"{trial[0]}-more", *trial[1:]), *rest) for trial, *rest in judged()]
    check_out(board, [*judged(), *more])  # type: ignore[list-item]
    check_out(tmp_path / "new" / "folder", judged())
    assert not (tmp_path / "new").exists()
    assert files(board) == before


@pytest.mark.parametrize("lost", ["a seed", "an entry", "a round", "another recipe", "everything"])
def test_no_recorded_number_is_lost_unasked(board: Path, lost: str) -> None:
    last = max(round for _, round, _, _ in judged() if round is not None)
    keep = {
        "a seed": lambda trial, round, draw, key: trial[3] != 0,
        "an entry": lambda trial, round, draw, key: trial[0] != "dense",
        "a round": lambda trial, round, draw, key: round != last,
        "another recipe": lambda trial, round, draw, key: False,
        "everything": lambda trial, round, draw, key: False,
    }[lost]
    new = [one for one in judged() if keep(*one)]
    if lost == "another recipe":
        new = [(trial, round, draw, "f" * 64) for trial, round, draw, _ in judged()]
    before = files(board)
    with pytest.raises(PrunebenchError, match=r"holds results of .* of its [\d,]+ judged tickets .* --overwrite"):
        check_out(board, new)
    assert files(board) == before
    check_out(board, new, overwrite=True)


@pytest.mark.parametrize("name", ["README.md", "thesis.tex"])
def test_a_users_own_files_are_not_drawn_in(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(PrunebenchError, match=f"is no leaderboard and holds files \\({name}\\)"):
        check_out(tmp_path, judged())
    assert (tmp_path / name).read_text() == "mine"


def test_a_damaged_leaderboard_is_not_written_over_unasked(board: Path) -> None:
    (board / "results.jsonl").write_text("{")
    with pytest.raises(PrunebenchError, match=r"damaged.*\n.*--overwrite"):
        check_out(board, judged())
    check_out(board, judged(), overwrite=True)


def test_a_link_in_the_folder_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrunebenchError, match="not a regular file"):
        check_out(tmp_path, judged())


@pytest.mark.parametrize("where", ["/proc/x/y", "file", "file/below"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match=r"cannot be written: .*Nothing was run"):
        check_out(tmp_path / where, judged(), overwrite=True)


def test_a_command_tells_it_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.runner.run", None)
    (tmp_path / "README.md").write_text("mine")
    file = Path(__file__).parents[2] / "benchmarks" / "quickstart.toml"
    done = CliRunner().invoke(main, ["run", str(file), "--store", str(tmp_path / "s"), "--out", str(tmp_path)])
    assert done.exit_code == 2, done.output
    assert "is no leaderboard and holds files (README.md" in done.output
    assert (tmp_path / "README.md").read_text() == "mine"


def test_merging_into_a_folder_does_not_lose_what_is_there(board: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(QUICKSTART.parent / "lottery-mnist-reduced", tmp_path / "other"))
    before = files(other)
    done = CliRunner().invoke(main, ["merge", str(board), "--out", str(other)])
    assert (done.exit_code, "--overwrite" in done.output) == (2, True), done.output
    assert files(other) == before


@pytest.mark.parametrize("variable", ["PRUNEBENCH_STORE", "PRUNEBENCH_DATA", "PRUNEBENCH_CACHE"])
def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    from prunebench.kernels.file_facts import folder

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/bench")
    place = {"PRUNEBENCH_STORE": default_store, "PRUNEBENCH_DATA": data_root, "PRUNEBENCH_CACHE": folder}[variable]()
    assert place == tmp_path / "bench"
    assert os.listdir(tmp_path) == []


def test_a_home_that_nobody_has_is_a_sentence() -> None:
    with pytest.raises(PrunebenchError, match="nobody-like-this"):
        expanded("~nobody-like-this/bench")
