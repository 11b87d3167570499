import json
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench import PrunebenchError
from prunebench.commands.main import main
from prunebench.testing import toy_results
from prunebench.verification.submission import broken_rules, submit

RULES = toy_results().provenance.model_copy(update={"seeds": (0, 1, 2)})


def test_a_submission_holds_what_a_maintainer_needs_to_verify_it(board: Path, tmp_path: Path) -> None:
    archive = submit(board, tmp_path / "out")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)
    assert json.loads((unpacked / "versions.json").read_text())["torch"]
    file = unpacked / "benchmarks" / "small.toml"
    arguments = ["verify", str(unpacked / "small"), "--file", str(file), "--entries", "imp", "--seeds", "1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output


def test_equal_leaderboards_give_equal_archives(board: Path, tmp_path: Path) -> None:
    first, second = submit(board, tmp_path / "a"), submit(board, tmp_path / "b")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def test_files_that_the_benchmark_extends_come_along(board: Path, tmp_path: Path) -> None:
    file = Path(json.loads((board / "provenance.json").read_text())["file"])
    shutil.copy(file, tmp_path / "base.toml")
    (tmp_path / "top.toml").write_text('extends = "base.toml"\n')
    with zipfile.ZipFile(submit(board, tmp_path / "out", tmp_path / "top.toml")) as packed:
        assert {"benchmarks/top.toml", "benchmarks/base.toml"} <= set(packed.namelist())


def test_an_edited_leaderboard_cannot_be_submitted(board: Path, tmp_path: Path) -> None:
    (board / "results.jsonl").write_text("")
    with pytest.raises(PrunebenchError, match="as they were recorded"):
        submit(board, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seeds": (0,)}, "at least 3"), ({"profile": "smoke"}, "full file"), ({"settings": ("rounds=1",)}, "--set")],
)
def test_what_breaks_a_rule_is_told(change: dict[str, object], said: str) -> None:
    assert not broken_rules(RULES)
    (sentence,) = broken_rules(RULES.model_copy(update=change))
    assert said in sentence
