import base64
from typing import Any

import pytest

from prunebench.leaderboard.page import trials as module
from prunebench.leaderboard.page.trials import LEAST, MOST, trials

from ..boards import row
from .boards import SVG, board, evaluation, figures, results_of


def test_every_trial_has_its_tickets_from_dense_to_sparse() -> None:
    found = trials(board())["trials"]
    assert [(t["name"], t["seed"]) for t in found][:5] == [
        ("dense", 0),
        ("imp", 0),
        ("imp-late", 0),
        ("random", 0),
        ("dense", 1),
    ]
    assert [ticket["label"] for ticket in found[1]["tickets"]] == ["51.2 %", "26.2 %", "13.4 %"]
    assert [ticket["kept"] for ticket in found[1]["tickets"]] == [[500, 10], [250, 10], [125, 10]]
    assert found[1]["tickets"][0]["addresses"] == [["curve", "c" * 64], ["weights", "w" * 64]]


def test_a_trial_has_the_worst_of_its_outcomes() -> None:
    found = {(t["name"], t["seed"]): t["outcome"] for t in trials(board())["trials"]}
    assert found.pop(("random", 2)) == "collapsed"
    assert set(found.values()) == {"ok"}


def test_curves_are_in_printed_units_and_share_their_positions() -> None:
    told = trials(board())
    names = [f"{serie['split']}/{serie['metric']}" for serie in told["series"]]
    curves = dict(told["trials"][0]["tickets"][0]["curves"])
    assert told["positions"] == [[0, 10, 20, 30, 40]]
    assert told["series"][names.index("test/accuracy")]["unit"] == "%"
    assert curves[names.index("test/accuracy")][-1] == pytest.approx(95.0, abs=0.01)
    assert curves[names.index("test/loss")] == [2.0, 1.0, 0.6667, 0.5, 0.4]


def test_a_long_curve_keeps_its_ends() -> None:
    told = trials(board(seeds=1, points=1000))
    assert told["points"] == MOST
    assert told["positions"][0][0] == 0
    assert told["positions"][0][-1] == 9990
    assert len(told["positions"][0]) == MOST


def test_many_curves_are_thinned_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS", 10)
    assert trials(board(seeds=1, points=30))["points"] == LEAST
    assert trials(board(seeds=1, points=LEAST))["points"] is None


def test_figures_beyond_the_budget_are_named_but_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = base64.b64encode(SVG.encode()).decode()
    monkeypatch.setattr(module, "FIGURES", len(picture))
    shown = [t["analyses"][0]["figures"][0] for t in trials(board())["trials"] if t["analyses"]]
    assert [figure["svg"] for figure in shown] == [picture, None, None]
    assert {figure["caption"] for figure in shown} == {"Bars of layers."}


def test_routes_tell_apart_what_reads_the_same() -> None:
    entries = ("a/b", "a\u202e/b")
    rows = [row(entry, 0, 0.5, 0.9) for entry in entries]
    found = trials(results_of(rows, (), entries))["trials"]
    assert [trial["route"] for trial in found] == ["lenet/mnist/a%2Fb/0", "lenet/mnist/a%20%2Fb/0"]
    same = trials(results_of([row("x", 0, 0.5, 0.9), row("x\u200b", 0, 0.5, 0.9)], (), ()))["trials"]
    assert len({trial["route"] for trial in same}) == 2


def test_a_run_that_broke_before_there_was_a_ticket_is_told() -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 0, None, None, role="find", round=2, outcome="diverged", metric="")]
    (trial,) = trials(results_of(rows, (), ("imp",)))["trials"]
    assert (trial["outcome"], trial["broke"]) == ("diverged", ["find in round 2: diverged"])


def test_details_without_rows_make_a_trial_with_the_density_of_its_layers() -> None:
    rows = [row("imp", 0, 0.5, 0.9)]
    lines = [evaluation("other", 1, 1, 0.9), figures("other", 1)]
    found = trials(results_of(rows, lines, ("imp", "other")))["trials"]
    assert [t["name"] for t in found] == ["imp", "other"]
    assert found[1]["tickets"][0]["density"] == 510 / 1010


@pytest.mark.parametrize("kept", [None, 0])
def test_layers_without_a_count_or_a_unit_are_no_error(kept: Any) -> None:
    layers = [{"name": "fc1", "units": 10, "kept": kept}]
    line = evaluation("imp", 0, 1, 0.9, layers=layers, curve=[])
    (trial,) = trials(results_of([row("imp", 0, 0.5, 0.9)], [line], ("imp",)))["trials"]
    assert trial["tickets"][0]["kept"] == (None if kept is None else [0])
    assert trial["tickets"][0]["curves"] == []
