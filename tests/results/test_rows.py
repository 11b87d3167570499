from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import results, row, typed_row
from pydantic import ValidationError

from prunebench import PrunebenchError
from prunebench.results.rows import read_rows, write_rows


def test_rows_read_back_as_they_were_written_and_in_their_order(tmp_path: Path) -> None:
    rows = [*reversed(results()), row("a\n|<b>`é\u2028", 0, 0.5, None, outcome="failed")]
    write_rows(tmp_path, map(typed_row, rows))
    assert [r.to_json() for r in read_rows(tmp_path)] == rows


def test_what_a_row_does_not_state_is_not_written(tmp_path: Path) -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 1, 0.5, 0.9, environments=["a", "b"], exact=False, density_macs=0.4)]
    write_rows(tmp_path, map(typed_row, rows))
    assert [r.to_json() for r in read_rows(tmp_path)] == rows


def test_rows_hold_what_they_state_in_common_and_a_changed_copy_changes_no_other(tmp_path: Path) -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 1, 0.5, 0.8), row("imp", 2, 0.5, 0.7, exact=False)]
    write_rows(tmp_path, map(typed_row, rows))
    one, other, more = read_rows(tmp_path)
    assert one.model_fields_set is other.model_fields_set
    assert more.model_fields_set == one.model_fields_set | {"exact"}
    assert one.model_copy(update={"note": "a word"}).to_json() == {**rows[0], "note": "a word"}
    assert [r.to_json() for r in (one, other, more)] == rows


def test_an_analysis_of_a_whole_trial_has_neither_round_nor_density(tmp_path: Path) -> None:
    whole = {**row("imp", 0, None, 1.0, role="analyse"), "round": None}
    write_rows(tmp_path, [typed_row(whole)])
    assert read_rows(tmp_path) == [typed_row(whole)]
    with pytest.raises(ValidationError, match="round is null, and only an analysis"):
        typed_row({**whole, "role": "evaluate"})


@pytest.mark.parametrize(
    "change", [{"role": "evaluate"}, {"density": 0.5}, {"value": 0.5}, {"key": "0" * 64}, {"note": ""}]
)
def test_a_method_that_does_not_apply_has_a_reason_and_nothing_that_was_computed(change: dict[str, Any]) -> None:
    said = {"role": "find", "outcome": "inapplicable", "key": "", "note": "no batch norm"}
    assert typed_row(row("slimming", 0, None, None, **said)).note == "no batch norm"
    with pytest.raises(ValidationError, match="outcome is inapplicable, but"):
        typed_row({**row("slimming", 0, None, None, **said), **change})


def test_a_line_is_canonical_json(tmp_path: Path) -> None:
    write_rows(tmp_path, [typed_row(row("imp", 0, 0.5, 1.0))])
    line = (tmp_path / "results.jsonl").read_text()
    assert line.startswith('{"data":"mnist","density":0.5,')
    assert line.endswith("}\n")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, "board: not a leaderboard: it has no results"),
        (lambda path: path.mkdir(), "board: not a leaderboard: it has no results"),
        (lambda path: path.write_text(""), "results.jsonl: cannot be read: Not a directory"),
    ],
)
def test_what_is_not_a_leaderboard_is_named(tmp_path: Path, make: Any, error: str) -> None:
    make(tmp_path / "board")
    with pytest.raises(PrunebenchError, match=error):
        read_rows(tmp_path / "board")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda line: line[:40], "not a line of JSON"),
        (lambda line: b"\xff\xfe" + line, "not a line of JSON"),
        (lambda line: line.replace(b'"mnist"', b'"\\ud800"'), "not a line of JSON"),
        (lambda line: b"[" * 100_000, "not a line of JSON"),
        (lambda line: b"[1, 2]", "not an object"),
        (lambda line: line.replace(b'"seed"', b'"sead"'), "no field seed (and 1 more)"),
        (lambda line: line.replace(b'"seed"', b'"sead":1,"seed"'), "unknown field sead"),
        (lambda line: line.replace(b'"seed":1', b'"seed":"1"'), "seed is '1', not a whole number"),
        (lambda line: line.replace(b'"seed":1', b'"seed":1.0'), "seed is 1.0, not a whole number"),
        (lambda line: line.replace(b'"seed":1', b'"seed":true'), "seed is True, not a whole number"),
        (lambda line: line.replace(b'"entry":"imp"', b'"entry":7'), "entry is 7, not text"),
        (lambda line: line.replace(b'"value":0.5', b'"value":NaN'), "value is nan, not a finite number"),
        (lambda line: line.replace(b'"value":0.5', b'"value":1e999'), "value is inf, not a finite number"),
        (lambda line: line.replace(b'"value":0.5', b'"value":"0.5"'), "value is '0.5', not a number"),
        (lambda line: line.replace(b'"outcome":"ok"', b'"outcome":"fine"'), "outcome is 'fine'; known: 'ok', "),
        (lambda line: line.replace(b'"role":"evaluate"', b'"role":"judge"'), "role is 'judge'; known: "),
        (lambda line: line.replace(b'"density":0.25', b'"density":null'), "outcome is ok, but there is no density"),
    ],
)
def test_a_damaged_line_is_named_by_file_line_and_field(tmp_path: Path, damage: Any, error: str) -> None:
    write_rows(tmp_path, [typed_row(row("imp", seed, 0.25, 0.5)) for seed in range(3)])
    path = tmp_path / "results.jsonl"
    lines = path.read_bytes().splitlines()
    lines[1] = damage(lines[1])
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(PrunebenchError) as raised:
        read_rows(tmp_path)
    assert str(raised.value).startswith(f"{path}:2: damaged: {error}")


def test_an_empty_file_has_no_results(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("\n")
    with pytest.raises(PrunebenchError, match="no results in it"):
        read_rows(tmp_path)


def test_a_value_that_json_cannot_hold_is_no_row() -> None:
    with pytest.raises(ValidationError, match="finite"):
        typed_row(row("imp", 1, 0.5, float("nan")))
