from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import results, row

from prunebench import PrunebenchError
from prunebench.leaderboard import read_rows
from prunebench.results.rows import write_rows


def test_rows_read_back_as_they_were_written_and_in_their_order(tmp_path: Path) -> None:
    rows = [*reversed(results()), row("a\n|<b>`é\u2028", 0, 0.5, None, outcome="failed")]
    write_rows(tmp_path, rows)
    assert read_rows(tmp_path) == rows


def test_an_analysis_of_a_whole_trial_has_neither_round_nor_density(tmp_path: Path) -> None:
    rows = [{**row("imp", 0, None, 1.0, role="analyse"), "round": None}]
    write_rows(tmp_path, rows)
    assert read_rows(tmp_path) == rows
    with pytest.raises(PrunebenchError, match="round is None, not a whole number"):
        write_rows(tmp_path, [{**rows[0], "role": "evaluate"}])


def test_a_line_is_canonical_json(tmp_path: Path) -> None:
    write_rows(tmp_path, [row("imp", 0, 0.5, 1.0)])
    line = (tmp_path / "results.jsonl").read_text()
    assert line.startswith('{"data":"mnist","density":0.5,')
    assert line.endswith("}\n")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")])
def test_what_is_not_a_leaderboard_is_said_so(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "board")
    with pytest.raises(PrunebenchError, match=r"board: not a leaderboard: results\.jsonl cannot be read"):
        read_rows(tmp_path / "board")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda line: line[:40], "not a line of JSON"),
        (lambda line: b"\xff\xfe" + line, "not a line of JSON"),
        (lambda line: b"[1, 2]", "not an object"),
        (lambda line: line.replace(b'"seed"', b'"sead"'), "no field seed"),
        (lambda line: line.replace(b'"seed":1', b'"seed":"1"'), "seed is '1', not a whole number"),
        (lambda line: line.replace(b'"value":0.5', b'"value":NaN'), "value is nan"),
        (lambda line: line.replace(b'"outcome":"ok"', b'"outcome":"fine"'), "outcome is 'fine'"),
        (lambda line: line.replace(b'"role":"evaluate"', b'"role":"judge"'), "role is 'judge'"),
        (lambda line: line.replace(b'"density":0.25', b'"density":null'), "there is no density"),
    ],
)
def test_a_damaged_line_is_named_by_file_and_line(tmp_path: Path, damage: Any, said: str) -> None:
    write_rows(tmp_path, [row("imp", seed, 0.25, 0.5) for seed in range(3)])
    path = tmp_path / "results.jsonl"
    lines = path.read_bytes().splitlines()
    lines[1] = damage(lines[1])
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(PrunebenchError) as error:
        read_rows(tmp_path)
    assert str(error.value).startswith(f"{path}:2: damaged: ")
    assert said in str(error.value)


def test_an_empty_file_has_no_results(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("\n")
    with pytest.raises(PrunebenchError, match="no results in it"):
        read_rows(tmp_path)


def test_a_value_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="result 2: value is nan"):
        write_rows(tmp_path, [row("imp", 0, 0.5, 0.5), row("imp", 1, 0.5, float("nan"))])
    assert not list(tmp_path.iterdir())
