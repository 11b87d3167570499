"""Whatever stops a command that changes a leaderboard's folder, its manifest never accepts a mixture."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from kill_points import full_disk_at_each, killed_at_each

from prunebench import PrunebenchError
from prunebench.api.board import Board
from prunebench.api.provenance import VerificationRecord
from prunebench.api.results import Results
from prunebench.results import writing
from prunebench.results.details import details_text, write_details
from prunebench.results.folder import read_results
from prunebench.results.manifest import check_manifest, foreign_files
from prunebench.results.provenance import write_provenance
from prunebench.results.rows import rows_text, write_rows
from prunebench.results.verification import read_record, sha256_of_text
from prunebench.results.writing import UNFINISHED, only_writer
from prunebench.runner import publishing
from prunebench.runner.publishing import merge_folders, record_verification, report_again, write_results
from prunebench.testing.results import toy_results


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of one's own, and folders with the sources and little else: what is rendered is not the matter here."""
    monkeypatch.setenv("PRUNEBENCH_CACHE", str(tmp_path / "cache"))

    def render(folder: Path, results: Results, board: Board) -> None:
        write_rows(folder, results.rows)
        write_details(folder, results.details)
        write_provenance(folder, results.provenance)
        for name in ("README.md", "index.html"):
            (folder / name).write_text(f"{name} of {[row.value for row in results.rows]}")

    monkeypatch.setattr(publishing, "render", render)


def results_of(seed: int) -> Results:
    results = toy_results()
    return replace(
        results,
        rows=tuple(row.model_copy(update={"seed": seed}) for row in results.rows),
        details=tuple(line.model_copy(update={"seed": seed}) for line in results.details),
        provenance=results.provenance.model_copy(update={"seeds": (seed,)}),
    )


def record_of_all(results: Results) -> VerificationRecord:
    return VerificationRecord(
        when="2026-01-01",
        hardware={},
        environment={},
        bit_equal=True,
        entries=results.provenance.entries,
        seeds=results.provenance.seeds,
        numbers=len(results.rows),
        results=sha256_of_text(rows_text(results.rows)),
        details=sha256_of_text(details_text(results.details)),
    )


def bytes_of(folder: Path) -> Mapping[str, bytes]:
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def note(board: Path, others: Path) -> None:
    record_verification(board, record_of_all(toy_results()))


def rank_by_another(board: Path, others: Path) -> None:
    report_again(board, against="imp")


def merge(board: Path, others: Path) -> None:
    merge_folders([others / "0", others / "1"], board)


COMMANDS: list[Callable[[Path, Path], None]] = [note, rank_by_another, merge]


@pytest.fixture
def others(tmp_path: Path) -> Path:
    for seed in (0, 1):
        write_results(tmp_path / "others" / str(seed), results_of(seed))
    return tmp_path / "others"


def before_and_after(
    command: Callable[[Path, Path], None], others: Path, scratch: Path
) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """A folder's files, and what a command that nothing interrupts makes of them."""
    old = bytes_of(others / "0")
    command(Path(shutil.copytree(others / "0", scratch / "new")), others)
    return old, bytes_of(scratch / "new")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_any_moment_leaves_the_old_folder_the_new_one_or_one_that_says_so(
    others: Path, tmp_path: Path, command: Callable[[Path, Path], None]
) -> None:
    old, new = before_and_after(command, others, tmp_path)
    assert new != old
    seen = set()

    def work(step: int) -> None:
        command(tmp_path / f"{step}", others)

    shutil.copytree(others / "0", tmp_path / "0")
    for step in killed_at_each(work):
        board = tmp_path / f"{step}"
        if (board / UNFINISHED).exists():
            seen.add("incomplete")
            with pytest.raises(PrunebenchError, match="incomplete"):
                read_results(board)
            report_again(board)
        else:
            seen.add("new" if bytes_of(board) == new else "old")
            assert bytes_of(board) in (old, new)
        command(board, others)
        assert bytes_of(board) == new
        assert set(os.listdir(board)) == set(new)
        shutil.copytree(others / "0", tmp_path / f"{step + 1}")
    assert seen == {"old", "incomplete", "new"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_is_full_at_any_moment_leaves_the_old_folder_or_the_new_one(
    others: Path, tmp_path: Path, command: Callable[[Path, Path], None]
) -> None:
    old, new = before_and_after(command, others, tmp_path)
    shutil.copytree(others / "0", tmp_path / "0")
    for step in full_disk_at_each(lambda step: command(tmp_path / f"{step}", others)):
        assert bytes_of(tmp_path / f"{step}") in (old, new)
        assert check_manifest(tmp_path / f"{step}") == []
        shutil.copytree(others / "0", tmp_path / f"{step + 1}")


def test_of_commands_that_write_one_folder_at_once_each_has_its_turn(tmp_path: Path) -> None:
    board, both = tmp_path / "board", [results_of(seed) for seed in (0, 1)]
    failed: list[BaseException] = []

    def act(results: Results) -> None:
        try:
            for _ in range(4):
                write_results(board, results)
                report_again(board)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=act, args=(results,)) for results in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    there = read_results(board)
    assert (list(there.rows), list(there.details)) in [(list(one.rows), list(one.details)) for one in both]
    assert there.rows[0].seed == there.provenance.seeds[0]
    assert foreign_files(board) == []


def test_of_merges_into_one_folder_at_once_the_second_is_told_what_would_be_lost(others: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def act(seed: int) -> None:
        try:
            merge_folders([others / str(seed)], tmp_path / "out")
        except PrunebenchError as error:
            told.append(str(error))

    threads = [threading.Thread(target=act, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert "it holds results" in told[0]
    assert check_manifest(tmp_path / "out") == []


def test_who_waits_too_long_for_a_turn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TURN_SECONDS", 0.01)
    board = tmp_path / "board"
    with only_writer(board), pytest.raises(PrunebenchError, match="another command has been writing to it"):
        write_results(board, toy_results())
    assert not board.exists()  # nobody wrote into it
    write_results(board, toy_results())


def test_a_verification_of_results_that_were_replaced_meanwhile_is_not_noted(tmp_path: Path) -> None:
    board = tmp_path / "board"
    write_results(board, toy_results())
    noted = record_of_all(toy_results())
    results = toy_results()
    rows = (results.rows[0].model_copy(update={"value": 0.95}), *results.rows[1:])
    write_results(board, replace(results, rows=rows))
    before = bytes_of(board)
    with pytest.raises(PrunebenchError, match="nothing was noted: its results are no longer those"):
        record_verification(board, noted)
    assert bytes_of(board) == before
    assert read_record(board) is None


def test_results_are_never_read_of_two_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = tmp_path / "board"
    write_results(board, results_of(0))
    from prunebench.results import folder

    read = folder.read_rows

    def slowly(place: Path) -> object:
        rows = read(place)
        write_results(board, results_of(1))
        return rows

    monkeypatch.setattr(folder, "read_rows", slowly)
    with pytest.raises(PrunebenchError, match="it was written while it was read; run again"):
        read_results(board)


def test_what_a_report_may_have_left_half_is_named(tmp_path: Path) -> None:
    board = tmp_path / "board"
    told: list[str] = []
    results = toy_results()
    write_results(
        board,
        replace(results, provenance=results.provenance.model_copy(update={"also": ({"use": "training-curves"},)})),
    )
    (board / UNFINISHED).mkdir()
    (board / "half.svg").write_text("<svg")
    report_again(board, complain=told.append)
    assert len(told) == 1
    assert "half.svg: new since writing the folder was interrupted" in told[0]
    report_again(board, complain=told.append)
    assert len(told) == 1
