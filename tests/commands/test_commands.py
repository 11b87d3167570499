"""The commands as a person runs them; what they compute is tested where it is computed."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from prunebench.commands.main import main

QUICKSTART = str(Path(__file__).parents[2] / "benchmarks" / "quickstart.toml")
TINY = [
    *("--profile", "smoke", "--set", "train.horizon=12it", "--set", "measure.every=6it"),
    *("--set", "execution.workers=0", "--set", "rounds=1"),
]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def prunebench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_check_says_what_a_file_would_do() -> None:
    done = prunebench("check", QUICKSTART)
    assert done.exit_code == 0
    assert "ok. 5 entries, 5 seeds, 25 trials, 110 training runs." in done.output


def test_check_tells_every_error_at_once_and_exits_2(tmp_path: Path) -> None:
    text = Path(QUICKSTART).read_text().replace("seeds = [0, 1, 2, 3, 4]", "seeds = [0, 0]\nround = 1")
    (tmp_path / "bad.toml").write_text(text.replace('score = "magnitude"', 'score = "magnitud"'))
    refused = prunebench("check", "bad.toml")
    assert refused.exit_code == 2
    for said in (
        "bad.toml: seeds: seed 0 is given twice",
        'round: unknown key. Did you mean "rounds"',
        'Did you mean "magnitude"',
    ):
        assert said in refused.output


def test_plan_gives_its_numbers_as_json() -> None:
    numbers = json.loads(prunebench("plan", QUICKSTART, "--json").stdout)
    assert numbers["trials"] == 25
    assert numbers["runs"] == {"naive": 200, "distinct": 110, "cached": 0}
    assert numbers["sample_steps"] == 110 * 1_000 * 60


def test_a_run_writes_a_leaderboard_and_a_second_one_trains_nothing(tmp_path: Path) -> None:
    first = prunebench("run", QUICKSTART, *TINY, "--out", "board")
    assert first.exit_code == 0, first.output
    assert "Leaderboard: board/index.html, and as text board/README.md" in first.output
    written = {path.name: path.read_bytes() for path in (tmp_path / "board").iterdir()}
    assert {"README.md", "results.jsonl", "provenance.json", "curves.svg", "index.html"} <= set(written)
    again = prunebench("run", QUICKSTART, *TINY, "--out", "again", "--json")
    summary = json.loads(again.stdout)
    assert summary["runs"]["cached"] == summary["runs"]["distinct"] > 0
    assert summary["failed"] == {}
    assert (tmp_path / "again" / "results.jsonl").read_bytes() == written["results.jsonl"]


def test_seeds_entries_and_keys_can_be_changed_from_the_command_line() -> None:
    numbers = json.loads(
        prunebench("plan", QUICKSTART, "--seeds", "7,8", "--only", "dense", "--set", "train.batch=100", "--json").stdout
    )
    assert (numbers["trials"], numbers["sample_steps"]) == (2, 2 * 1_000 * 100)


def test_the_default_folder_is_named_after_the_file_and_its_profile(tmp_path: Path) -> None:
    done = prunebench("run", QUICKSTART, *TINY, "--only", "dense")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "leaderboards" / "quickstart-smoke" / "README.md").is_file()


def test_a_data_set_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    refused = prunebench("check", QUICKSTART, "--set", "data.use=mnist")
    assert refused.exit_code == 2
    assert f"under {tmp_path / 'data'}. Run `prunebench data fetch mnist`, or put" in refused.output


def test_plugins_are_listed_and_described() -> None:
    listed = prunebench("plugins", "list")
    assert "magnitude" in listed.output
    assert "Han et al. 2015" in listed.output
    shown = prunebench("plugins", "show", "adam")
    for said in ("lr", "0.001", "prunebench_optimizer", "fits: optimizer"):
        assert said in shown.output
    refused = prunebench("plugins", "show", "adm")
    assert (refused.exit_code, 'Did you mean "adam"' in refused.output) == (2, True)


def test_data_sets_are_listed_with_their_state() -> None:
    listed = prunebench("data", "list").output
    assert "comes with the package" in listed
    assert "missing; `prunebench data fetch mnist`" in listed


def test_report_writes_the_same_page_again(tmp_path: Path) -> None:
    prunebench("run", QUICKSTART, *TINY, "--out", "board")
    before = {p.name: p.read_bytes() for p in (tmp_path / "board").iterdir()}
    (tmp_path / "board" / "README.md").unlink()
    assert prunebench("report", "board").exit_code == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "board").iterdir()} == before


def test_a_folder_that_is_no_leaderboard_is_refused(tmp_path: Path) -> None:
    for command in ("report", "verify"):
        refused = prunebench(command, str(tmp_path))
        assert refused.exit_code == 2
        assert "not a leaderboard" in refused.output


def test_every_command_and_option_has_help() -> None:
    stack = [((), main)]
    while stack:
        path, command = stack.pop()
        assert command.help, path
        for name, inner in getattr(command, "commands", {}).items():
            stack.append(((*path, name), inner))
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (path, parameter.name)


def test_how_the_work_is_carried_out_is_no_change_of_the_file(tmp_path: Path) -> None:
    tiny = ["--profile", "smoke", "--set", "train.horizon=12it", "--set", "measure.every=6it", "--set", "rounds=1"]
    boards = {}
    for name, how in (("option", ["--workers", "0"]), ("setting", ["--set", "execution.workers=0"])):
        done = prunebench("run", QUICKSTART, *tiny, "--only", "dense", *how, "--out", name)
        assert done.exit_code == 0, done.output
        boards[name] = json.loads((tmp_path / name / "provenance.json").read_text())
        assert not [s for s in boards[name]["settings"] if s.startswith("execution")]
        assert "workers" not in (tmp_path / name / "README.md").read_text()
    assert boards["option"]["settings"] == boards["setting"]["settings"]
    refused = prunebench("run", QUICKSTART, *tiny, "--workers", "-1")
    assert refused.exit_code == 2
    assert "--workers" in refused.output
    refused = prunebench("run", QUICKSTART, *tiny, "--device", "warp")
    assert refused.exit_code == 2
    assert 'torch knows no device "warp"' in refused.output


def test_errors_have_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = CliRunner().invoke(main, ["check", "nothing.toml"], color=True)
    assert "\x1b[" in coloured.output
    monkeypatch.setenv("NO_COLOR", "1")
    plain = CliRunner().invoke(main, ["check", "nothing.toml"], color=True)
    assert "\x1b[" not in plain.output
    assert plain.output.startswith("error: ")
