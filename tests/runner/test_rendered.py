from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine.toy_runs import prepared
from hypothesis import given
from hypothesis import strategies as st

from prunebench import runner
from prunebench.api.board import Board
from prunebench.api.details import CurvePoint, EvaluationDetail
from prunebench.api.results import Results
from prunebench.results.details import write_details
from prunebench.results.provenance import write_provenance
from prunebench.results.rows import write_rows
from prunebench.runner import publishing, rendered
from prunebench.runner.publishing import report_again, write_results
from prunebench.testing.results import toy_results


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were rendered into: with the three sources, and little else, for the sake of time."""
    found: list[Path] = []

    def render(folder: Path, results: Results, board: Board) -> None:
        found.append(folder)
        write_rows(folder, results.rows)
        write_details(folder, results.details)
        write_provenance(folder, results.provenance)
        for name in ("README.md", "index.html", "table.tex"):
            (folder / name).write_text(f"{name} of {board.name}")

    monkeypatch.setattr(publishing, "render", render)
    return found


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_equal_results_are_rendered_once(tmp_path: Path, times: list[Path]) -> None:
    board = tmp_path / "board"
    write_results(board, toy_results())
    before = contents(board)
    write_results(board, toy_results())
    report_again(board)
    assert len(times) == 1
    assert contents(board) == before


def test_a_run_that_computes_nothing_leaves_what_the_one_before_it_wrote(tmp_path: Path, times: list[Path]) -> None:
    ready, board = prepared(tmp_path / "store"), tmp_path / "board"
    first = runner.run(ready)
    runner.write(ready, first, board)
    before = contents(board)
    again = runner.run(ready)
    assert again.provenance.runs != first.provenance.runs
    written = runner.write(ready, again, board)
    assert len(times) == 1
    assert contents(board) == before
    assert written.results.provenance.runs == first.provenance.runs
    assert written.board.provenance == written.results.provenance
    # Of another run, as with another seed, it is not kept.
    other = replace(again, provenance=again.provenance.model_copy(update={"seeds": (5,)}))
    runner.write(ready, other, board)
    assert len(times) == 2
    assert json.loads((board / "provenance.json").read_text())["runs"] == again.provenance.runs.to_json()


def edited(board: Path) -> None:
    (board / "README.md").write_text("better\n")


def removed(board: Path) -> None:
    (board / "index.html").unlink()


def emptied(board: Path) -> None:
    (board / "table.tex").write_bytes(b"")


def of_an_earlier_report(board: Path) -> None:
    (board / "ranks.svg").write_text("<svg/>")


def unfinished(board: Path) -> None:
    (board / ".unfinished").mkdir()


def killed(board: Path) -> None:
    (board / ".aside").mkdir()


@pytest.mark.parametrize("change", [killed, edited, removed, emptied, of_an_earlier_report, unfinished])
def test_what_is_not_as_it_was_rendered_is_rendered_again(
    tmp_path: Path, times: list[Path], change: Callable[[Path], None]
) -> None:
    board = tmp_path / "board"
    write_results(board, toy_results())
    before = contents(board)
    change(board)
    write_results(board, toy_results())
    assert len(times) == 2
    assert {name: contents(board).get(name) for name in before if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"
    }
    assert not any((board / name).exists() for name in ("ranks.svg", ".aside", ".unfinished"))


def test_other_code_renders_again(tmp_path: Path, times: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path / "board", toy_results())
    monkeypatch.setattr(rendered, "_renderer", lambda: b"newer")
    write_results(tmp_path / "board", toy_results())
    assert len(times) == 2


def test_nothing_that_a_folder_says_of_itself_is_believed(tmp_path: Path, times: list[Path]) -> None:
    write_results(tmp_path / "board", toy_results())
    shutil.copytree(tmp_path / "board", tmp_path / "strangers")
    write_results(tmp_path / "strangers", toy_results())
    assert len(times) == 2


def test_a_cache_that_is_damaged_or_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, times: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path / "board", toy_results())
    (kept,) = (tmp_path / "cache").iterdir()
    made_of = json.loads(kept.read_text())["made of"]
    for text in ("", "[]", json.dumps({"made of": made_of}), json.dumps({"made of": made_of, "files": []})):
        kept.write_text(text)
        write_results(tmp_path / "board", toy_results())
    assert len(times) == 5
    (tmp_path / "no-folder").write_text("")
    monkeypatch.setenv("PRUNEBENCH_CACHE", str(tmp_path / "no-folder"))
    write_results(tmp_path / "board", toy_results())
    assert len(times) == 6


FIELDS = st.sampled_from(
    [
        {"value": 0.8 + 2**-53},
        {"value": None, "outcome": "diverged"},
        {"seed": 1},
        {"density_macs": 0.5},
        {"density_macs": None},  # as by default, but stated
        {"environments": ("a", "b")},
        {"note": "x"},
        {"exact": True},
    ]
)


@given(FIELDS, st.integers(0, 1))
def test_results_that_differ_at_all_have_other_digests(change: Mapping[str, Any], at: int) -> None:
    results = toy_results()
    rows = list(results.rows)
    rows[at] = rows[at].model_copy(update=change)
    assert rendered._digest(rows) != rendered._digest(results.rows)
    # Equal ones have equal digests, however they were made.
    again = [type(row).model_validate_json(json.dumps(row.to_json())) for row in rows]
    assert rendered._digest(again) == rendered._digest(rows)


DETAILS: list[Callable[[EvaluationDetail], dict[str, Any]]] = [
    lambda detail: {"correct": "AAAA"},
    lambda detail: {"artifacts": {**detail.artifacts, "more": None}},
    lambda detail: {"layers": detail.layers[1:]},
    lambda detail: {"curve": (*detail.curve, CurvePoint(iteration=999, values={"test/loss": 0.1}))},
    lambda detail: {"curve": tuple(p.model_copy(update={"iteration": p.iteration + 1}) for p in detail.curve)},
    lambda detail: {"curve": tuple(p.model_copy(update={"values": {**p.values, "x": None}}) for p in detail.curve)},
]


@pytest.mark.parametrize("change", DETAILS)
def test_details_that_differ_at_all_have_other_digests(change: Callable[[EvaluationDetail], dict[str, Any]]) -> None:
    results: Results = toy_results()
    first, *rest = results.details
    assert isinstance(first, EvaluationDetail)
    other = first.model_copy(update=change(first))
    assert rendered._digest([other, *rest]) != rendered._digest(results.details)
    again = EvaluationDetail.model_validate_json(json.dumps(other.to_json()))
    assert rendered._digest([again, *rest]) == rendered._digest([other, *rest])
