"""`prunebench run`: what it says, and with which code it ends."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.toy_runs import FILE, run, text
from prunebench.commands.main import main
from prunebench.engine.loop import Training

WILD = """
[[entry]]
name = "wild"
extends = "imp"
train.optimizer.lr = 1e30
"""
BAD = """
[[entry]]
name = "bad"
extends = "imp"
score = { use = "odd-score", kind = "raises" }
"""


@pytest.fixture
def command(tmp_path: Path, installed: Path) -> Callable[..., Result]:
    """Runs the toy benchmark's file, with more text after it and more options."""

    def ran(more: str = "", *options: str) -> Result:
        file = tmp_path / "toy.toml"
        file.write_text(FILE + more)
        store, board = str(tmp_path / "store"), str(tmp_path / "board")
        return CliRunner().invoke(main, ["run", str(file), "--store", store, "--out", board, *options])

    return ran


def test_a_run_ends_with_0_and_a_leaderboard(
    command: Callable[..., Result], tmp_path: Path, undisturbed: bytes
) -> None:
    result = command()
    assert result.exit_code == 0, result.output
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == undisturbed
    assert "3 training runs (of 5 without sharing), 0 already in the store" in result.stderr
    again = command()
    assert again.exit_code == 0
    assert "3 already in the store" in again.stderr
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == undisturbed


def test_a_diverged_trial_is_a_result_and_no_failure(command: Callable[..., Result], tmp_path: Path) -> None:
    result = command(WILD)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "board" / "results.jsonl").read_text().splitlines()]
    assert {row["outcome"] for row in lines if row["entry"] == "wild"} == {"diverged"}
    assert {row["outcome"] for row in lines if row["entry"] != "wild"} == {"ok"}


def test_a_failed_trial_ends_with_1_and_is_named_and_the_others_are_written(
    command: Callable[..., Result], tmp_path: Path, undisturbed: bytes
) -> None:
    result = command(BAD)
    assert result.exit_code == 1
    assert (
        "bad, toy-net, toy-data, seed 0: component odd-score (parts 1.0): prunebench_score failed: "
        "RuntimeError: this score always fails" in result.stderr
    )
    assert "1 of 3 trials failed (--traceback shows where)." in result.stderr
    lines = (tmp_path / "board" / "results.jsonl").read_bytes().splitlines(keepends=True)
    assert b"".join(line for line in lines if b'"entry":"bad"' not in line) == undisturbed
    shown = command(BAD, "--traceback")
    assert "parts.py" in shown.stderr


def test_the_summary_is_json_on_standard_output(command: Callable[..., Result]) -> None:
    result = command("", "--json")
    told = json.loads(result.stdout)
    assert told["trials"] == 2
    assert told["runs"] == {"naive": 5, "distinct": 3, "cached": 0}
    assert (told["failed"], told["rows"]) == ({}, 30)


def refusing(writes: int, code: int) -> Callable[..., int]:
    """os.open, but files can no longer be made after a number of them."""
    genuine, made = os.open, []

    def opened(path: Any, flags: int, *args: Any, **keywords: Any) -> int:
        if flags & os.O_CREAT and "/store/" in os.fspath(path) and not os.fspath(path).endswith(".lock"):
            made.append(path)
            if len(made) > writes:
                raise OSError(code, os.strerror(code), path)
        return genuine(path, flags, *args, **keywords)

    return opened


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, ("No space left on device", "Free some space and run again")),
        (errno.EROFS, ("Read-only file system", "Make the folder writable and run again")),
    ],
)
@pytest.mark.parametrize("writes", [0, 7, 15])
def test_a_store_that_cannot_be_written_ends_the_run_with_1_and_advice(
    command: Callable[..., Result],
    tmp_path: Path,
    undisturbed: bytes,
    code: int,
    advice: tuple[str, str],
    writes: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refusing(writes, code))
        result = command()
    assert result.exit_code == 1
    reason, then = advice
    assert f"{tmp_path / 'store'}: cannot write to the store: {reason}" in result.stderr
    assert then in result.stderr
    assert "--store" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "board").exists()
    # Nothing that was finished is lost, and nothing unfinished is in the way.
    assert command().exit_code == 0
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == undisturbed


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    command: Callable[..., Result], tmp_path: Path, undisturbed: bytes
) -> None:
    advance, calls = Training.advance, []

    def interrupted(self: Training, *args: Any) -> None:
        calls.append(self)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        advance(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "advance", interrupted)
        result = command()
    assert result.exit_code == 130
    assert "phases are done and stored; the same command goes on from there" in result.stderr
    assert not (tmp_path / "board").exists()
    assert command().exit_code == 0
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == undisturbed


def test_entries_and_seeds_of_the_command_line_are_those_of_the_run(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    result = command("", "--only", "imp", "--seeds", "3,4")
    assert result.exit_code == 0, result.output
    wanted = run(tmp_path / "other", seeds=[3, 4], entries=["imp"])
    assert (tmp_path / "board" / "results.jsonl").read_bytes() == text(wanted)
    assert "--only imp" in (tmp_path / "board" / "README.md").read_text().replace("\\", "")
