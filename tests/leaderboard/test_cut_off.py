"""What a reader must know of single tickets: stops that the horizon cut off, remarks of components, coarse masks."""

from __future__ import annotations

from typing import Any

from prunebench.api.board import Board, Group
from prunebench.api.report import board_records
from prunebench.api.report.records import RECORD_COLUMNS
from prunebench.leaderboard import board_of, verdicts
from prunebench.leaderboard.judgements import ours_text
from prunebench.leaderboard.page.overview import overview
from prunebench.leaderboard.terminal import terminal_tables
from prunebench.leaderboard.tex import tex_tables

from .boards import PROVENANCE, row, typed

STOP = "valid/early_stop_iteration"


def stopped(entry: str, seed: int, at: int, end: int = 1000) -> list[dict[str, Any]]:
    """A judged ticket that stopped early at an iteration of its run."""
    stop = {"metric": "early_stop_iteration", "split": "valid", "unit": "it"}
    return [
        row(entry, seed, 0.5, 0.9, position=f"{end}it"),
        row(entry, seed, 0.5, float(at), position=f"{at}it", **stop),
        row(entry, seed, 0.5, 0.91, position=f"{at}it", metric="early_stop_accuracy"),
    ]


def board(rows: list[dict[str, Any]], metric: str = STOP, **report: Any) -> Board:
    entries = list(dict.fromkeys(one["entry"] for one in rows))
    stated = {"name": "early", "claim": "", "against": None, "metric": metric, **report}
    return board_of(typed(rows, (), {**PROVENANCE, "entries": entries}, **stated))


ROWS = [
    *(one for seed, at in enumerate([400, 1000, 1000]) for one in stopped("late", seed, at)),
    *(one for seed in range(3) for one in stopped("soon", seed, 300 + seed)),
]
TEXT = "2 of 3 cut off at the horizon"


def group(board: Board) -> Group:
    (found,) = board.groups
    return found


def test_runs_that_were_still_improving_where_they_ended_are_counted() -> None:
    for metric in (STOP, "test/early_stop_accuracy"):
        entries = group(board(ROWS, metric)).entries
        assert [entries[name].cells[0.5].cut_off for name in ("late", "soon")] == [2, 0]
    assert group(board(ROWS, "test/accuracy")).entries["late"].cells[0.5].cut_off == 0


def test_every_form_says_so() -> None:
    found = board(ROWS)
    assert TEXT in terminal_tables(found, 200)
    assert TEXT in tex_tables(found)
    assert TEXT in str(overview(found))
    at = RECORD_COLUMNS.index("cut_off")
    assert {record[2]: record[at] for record in board_records(found)} == {"late": 2, "soon": 0}


def test_a_published_result_says_whose_stops_are_cut_off() -> None:
    stated = {"source": "x", "claim": "y", "better": "soon", "worse": "late", "metric": STOP, "density": 0.5}
    results = typed(ROWS, (), {**PROVENANCE, "entries": ["late", "soon"]}, metric=STOP, expectations=[stated])
    (judgement,) = verdicts(results)
    assert "; some early stops of late are cut off at the horizon" in ours_text(judgement)


def test_an_equality_within_a_share_is_judged_by_ratios() -> None:
    rows = [row(e, s, 0.5, v * (1 + s / 1000)) for e, v in (("a", 0.5), ("b", 0.52)) for s in range(3)]
    stated = {"source": "x", "claim": "y", "better": "a", "worse": "b", "metric": "test/accuracy", "density": 0.5}
    said = []
    for share in (0.1, 0.01):
        expectations = [{**stated, "equal_within_share": share}]
        (one,) = verdicts(typed(rows, (), {**PROVENANCE, "entries": ["a", "b"]}, expectations=expectations))
        said.append(one.verdict)
        assert f"equal within {100 * share:g} % of the latter?" in ours_text(one)
    assert said == ["reproduced", "contradicted"]


def test_remarks_of_components_stand_on_the_board_once() -> None:
    rows = [row("imp", seed, 0.5, 0.9, note="layer fc1 had too few examples") for seed in range(3)]
    notes = board([*rows, row("other", 0, 0.5, 0.9)], "test/accuracy").notes
    assert [n for n in notes if "fc1" in n] == ["imp: layer fc1 had too few examples (3 judged networks)."]


def test_a_mask_that_was_cut_to_a_place_is_there_and_the_board_says_how_far_off() -> None:
    def lying(entry: str, macs: float, **more: Any) -> dict[str, Any]:
        return row(entry, 0, macs, 0.8, density_macs=macs, **more)

    rows = [lying("cut", 0.52, asked_macs=0.5), lying("chance", 0.52), lying("far", 0.56, asked_macs=0.5)]
    found = board(rows, "test/accuracy", axis="density_macs", at=[0.5])
    cells = {name: entry.at(0.5) for name, entry in group(found).entries.items()}
    assert cells["cut"].values == {0: 0.8}
    assert not cells["cut"].between
    assert not cells["chance"].values
    assert not cells["far"].values
    assert any("the furthest is 4 % away (0.52 instead of 0.5" in note for note in found.notes if note[:4] == "cut:")
