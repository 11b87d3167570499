"""What every command has: `--json`, `-q` and `-v`, exit codes in its help, completion, `python -m`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import click
import pytest
from click.testing import CliRunner, Result

from prunebench.commands.exit_codes import EXIT_CODES
from prunebench.commands.main import main

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "benchmarks" / "quickstart.toml")
BOARD = ROOT / "leaderboards" / "quickstart"
TINY = ("--seeds", "0", "--only", "dense", "--set", "train.horizon=20it", "--set", "execution.workers=0")
JSON_ALREADY = {("schema",)}


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands())
EACH = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    return tmp_path


def prunebench(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@EACH
def test_the_help_of_every_command_ends_with_the_exit_codes_and_has_the_common_options(path: tuple[str, ...]) -> None:
    shown = " ".join(prunebench(*path, "--help").output.split())
    for code in EXIT_CODES:
        assert f"{code}:" in shown
    assert "-q, --quiet" in shown
    assert "-v, --verbose" in shown


@EACH
def test_every_command_that_reports_takes_json(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    if isinstance(command, click.Group) or path in JSON_ALREADY:
        return
    assert "--json" in {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("check", QUICKSTART), "training_runs"),
        (("plugins", "list"), "components"),
        (("plugins", "show", "sgd"), "keys"),
        (("plugins", "new", "my-score"), "files"),
        (("init", "mine.toml"), "training_runs"),
        (("data", "fetch", "mnist5k"), "files"),
        (("site", "boards", "--to", "site"), "leaderboards"),
        (("merge", str(BOARD), "--out", "merged"), "rows"),
        (("submit", str(BOARD), "--file", QUICKSTART), "archive"),
        (("explain", "seeds"), "name"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_standard_output_is_json_and_nothing_else(place: Path, arguments: tuple[str, ...], key: str) -> None:
    if arguments[0] == "site":
        copytree(BOARD, place / "boards" / "quickstart")
    done = prunebench(*arguments, "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert key in (printed[0] if isinstance(printed, list) else printed)


def test_check_says_what_is_wrong_in_json_too() -> None:
    refused = prunebench("check", QUICKSTART, "--set", "train.batc=3", "--json")
    assert refused.exit_code == 2
    told = json.loads(refused.stdout)
    assert told["ok"] is False
    assert any("batc" in error for error in told["errors"])


def test_report_has_the_verdicts_in_json(place: Path) -> None:
    prunebench("merge", BOARD, "--out", "merged")
    told = json.loads(prunebench("report", "merged", "--json").stdout)
    assert {one["verdict"] for one in told["expect"]} <= {"reproduced", "contradicted", "undecided", "not judged"}


@pytest.mark.parametrize("quiet", [("-q", "run", QUICKSTART, *TINY), ("run", QUICKSTART, *TINY, "--quiet")])
def test_a_quiet_run_says_its_result_alone(quiet: tuple[str, ...]) -> None:
    done = prunebench(*quiet)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "Leaderboard:" in done.stdout


def test_a_verbose_run_tells_of_every_training() -> None:
    normal = prunebench("run", QUICKSTART, *TINY)
    assert "training runs" in normal.stderr
    verbose = prunebench("-v", "check", "nothing.toml")
    assert "Traceback" in verbose.stderr
    assert "Traceback" not in prunebench("check", "nothing.toml").stderr


def test_errors_are_said_however_quiet() -> None:
    refused = prunebench("check", "nothing.toml", "-q")
    assert (refused.exit_code, "nothing.toml" in refused.stderr) == (2, True)


def test_python_runs_the_package() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "prunebench", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.startswith("prunebench, version ") or shown.startswith("python -m prunebench, version ")


def completed(words: str) -> list[str]:
    """What bash would offer after these words, the last one begun."""
    environment = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_PRUNEBENCH_COMPLETE": "bash_complete",
    }
    code = "from prunebench.commands.main import main; main(prog_name='prunebench')"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return [line.partition(",")[2] for line in ran.stdout.splitlines()]


def test_a_shell_completes_commands_options_and_keys() -> None:
    assert completed("prunebench ex") == ["explain", "export"]
    assert {"list", "new", "show"} == set(completed("prunebench plugins "))
    assert "--workers" in completed("prunebench run --w")
    assert "train.numerics" in completed("prunebench explain train.n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(shell: str) -> None:
    code = "from prunebench.commands.main import main; main(prog_name='prunebench')"
    environment = {**os.environ, "_PRUNEBENCH_COMPLETE": f"{shell}_source"}
    script = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout
    assert f"_PRUNEBENCH_COMPLETE={shell}_complete" in script
