"""Entries with other units are compared at equal cost: between a seed's two nearest tickets, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.api.board import AXES, Between, Gap, Group
from prunebench.api.errors import ConfigError
from prunebench.api.report import gap_lines, results_table
from prunebench.api.results import Results
from prunebench.benchmark import load as config
from prunebench.components.catalogue import Catalogue
from prunebench.leaderboard import axis as axis_module
from prunebench.leaderboard import board_of, verdicts, write_leaderboard
from prunebench.leaderboard.page.overview import overview

from .boards import PROVENANCE, row, typed

AXIS = "density_macs"


def ticket(entry: str, macs: float | None, value: float | None, density: float, seed: int = 0, **more: Any) -> Any:
    return row(entry, seed, density, value, **{"density_macs": macs, "round": round(100 * (1 - density)), **more})


@pytest.fixture(autouse=True, scope="module")
def wide() -> Iterator[None]:
    """Reads values off long lines: how far they may reach has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(axis_module, "WIDEST", 4.0)
        patch.setattr(axis_module, "STEEPEST", 1.0)
        yield


TWO = [ticket("imp", 0.8, 0.9, 0.5), ticket("imp", 0.2, 0.6, 0.25)]


def group(rows: list[dict[str, Any]], *at: float, axis: str = AXIS) -> Group:
    (found,) = board_of(board(rows, axis, at)).groups
    return found


def board(
    rows: list[dict[str, Any]],
    axis: str = AXIS,
    at: tuple[float, ...] = (0.4,),
    entries: Sequence[str] = ("dense", "imp"),
    **report: Any,
) -> Results:
    report = {"name": "mixed", "claim": "", "against": "imp", "axis": axis, "at": list(at), **report}
    return typed(rows, (), {**PROVENANCE, "entries": list(entries)}, **report)


def test_a_place_halfway_in_the_logarithm_has_the_mean_of_its_neighbours() -> None:
    assert group(TWO, 0.4).at("imp", 0.4).values == {0: pytest.approx(0.75)}
    assert sqrt(0.8 * 0.2) == pytest.approx(0.4)


def test_a_place_nearer_to_one_ticket_is_nearer_to_its_value() -> None:
    share = log(0.8 / 0.5) / log(0.8 / 0.2)
    assert group(TWO, 0.5).at("imp", 0.5).values[0] == pytest.approx(0.9 - 0.3 * share)


@given(st.floats(0.2, 0.8), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_value_lies_between_those_of_its_neighbours(place: float, left: float, right: float) -> None:
    rows = [ticket("imp", 0.8, left, 0.5), ticket("imp", 0.2, right, 0.25)]
    (value,) = group(rows, place).at("imp", place).values.values()
    assert min(left, right) - 1e-9 <= value <= max(left, right) + 1e-9


@pytest.mark.parametrize(("place", "value"), [(0.8, 0.9), (0.2, 0.6)])
def test_a_place_where_a_ticket_lies_has_its_value(place: float, value: float) -> None:
    assert group(TWO, place).at("imp", place).values == {0: value}


@pytest.mark.parametrize("place", [0.81, 0.19])
def test_beyond_all_tickets_of_a_seed_there_is_no_value(place: float) -> None:
    assert group(TWO, 0.4, place).at("imp", place).trials == 0


def test_other_tickets_than_the_nearest_do_not_matter() -> None:
    far = [ticket("imp", 0.9, 0.1, 0.6), ticket("imp", 0.1, 0.0, 0.1)]
    assert group([*far, *TWO], 0.4).at("imp", 0.4).values == {0: pytest.approx(0.75)}


def test_each_seed_has_neighbours_of_its_own() -> None:
    other = [ticket("imp", 0.4, 0.7, 0.5, seed=1), ticket("imp", 0.1, 0.1, 0.25, seed=1)]
    cell = group([*TWO, *other], 0.4, 0.15).at("imp", 0.4)
    assert cell.values == {0: pytest.approx(0.75), 1: 0.7}
    assert group([*TWO, *other], 0.4, 0.15).at("imp", 0.15).values.keys() == {1}


def test_draws_are_averaged_in_place_and_value_before_anything_is_interpolated() -> None:
    draws = [ticket("imp", 0.7, 0.8, 0.5, draw=0), ticket("imp", 0.9, 1.0, 0.5, draw=1), TWO[1]]
    assert group(draws, 0.4).at("imp", 0.4).values == {0: pytest.approx(0.75)}


def test_a_dense_network_is_a_neighbour_of_an_entry_that_judged_it() -> None:
    rows = [ticket("imp", 1.0, 1.0, 1.0, round=0), ticket("imp", 0.25, 0.5, 0.5)]
    assert group(rows, 0.5).at("imp", 0.5).values == {0: pytest.approx(0.75)}


@pytest.mark.parametrize("outcome", ["collapsed", "failed", "diverged"])
@pytest.mark.parametrize("broken", [0, 1])
def test_next_to_a_ticket_that_is_not_ok_there_is_its_outcome(outcome: str, broken: int) -> None:
    rows = [{**one, "outcome": outcome, "value": None} if i == broken else one for i, one in enumerate(TWO)]
    cell = group(rows, 0.4).at("imp", 0.4)
    assert (cell.values, cell.broken) == ({}, {0: outcome})


def test_the_worst_of_two_outcomes_is_told() -> None:
    rows = [{**TWO[0], "outcome": "collapsed"}, {**TWO[1], "outcome": "diverged", "value": None}]
    assert group(rows, 0.4).at("imp", 0.4).broken == {0: "diverged"}


def test_a_collapsed_ticket_still_gives_the_value_that_counts_it_in() -> None:
    rows = [TWO[0], {**TWO[1], "outcome": "collapsed"}]
    assert group(rows, 0.4).at("imp", 0.4).inclusive == {0: pytest.approx(0.75)}


def test_a_ticket_that_was_never_made_breaks_the_places_that_it_would_lie_near_and_no_others() -> None:
    lost = {**ticket("imp", None, None, 0.35), "outcome": "failed"}
    rows = [ticket("imp", 0.9, 0.95, 0.6), *TWO, lost, ticket("imp", 0.1, 0.2, 0.1)]
    found = group(rows, 0.85, 0.4, 0.15)
    assert found.at("imp", 0.4).broken == {0: "failed"}
    assert [found.at("imp", place).n for place in (0.85, 0.15)] == [1, 1]


def test_a_run_that_diverged_before_its_first_ticket_breaks_all_places() -> None:
    rows = [{**ticket("imp", None, None, density), "outcome": "diverged"} for density in (0.5, 0.25)]
    found = group(rows, 0.7, 0.4)
    assert [found.at("imp", place).broken for place in (0.7, 0.4)] == [{0: "diverged"}, {0: "diverged"}]


def test_the_dense_reference_stands_where_it_was() -> None:
    found = group([row("dense", 0, 1.0, 0.98), *TWO], 0.4)
    assert found.references == ("dense",)
    assert found.at("dense", 0.4).values == {0: 0.98}
    assert found.places == (1.0, 0.4)


def test_the_last_measurement_of_a_run_is_what_is_interpolated() -> None:
    early = [{**one, "position": "500it", "value": 0.0} for one in TWO]
    assert group([*TWO, *early], 0.4).at("imp", 0.4).values == {0: pytest.approx(0.75)}


def test_analyses_and_find_runs_are_no_tickets() -> None:
    others = [{**row("imp", 0, 0.5, 1.0), "role": role, "density_macs": 0.4} for role in ("analyse", "find")]
    assert group([*others, *TWO], 0.4) == group(TWO, 0.4)


def test_a_value_between_tickets_is_of_no_run_and_names_both_tickets() -> None:
    cell = group(TWO, 0.4).at("imp", 0.4)
    assert cell.runs == {}
    assert cell.between == {0: Between((0.8, 0.2), (0.9, 0.6))}
    assert group(TWO, 0.8).at("imp", 0.8).between == {}


@pytest.mark.parametrize(
    ("place", "why"),
    [(0.85, Gap("beyond", (0.8,), (0.9,))), (0.1, Gap("beyond", (0.2,), (0.6,)))],
)
def test_a_place_without_a_value_says_why(place: float, why: Gap) -> None:
    assert group(TWO, 0.4, place).at("imp", place).missing == {0: why}


def test_no_value_is_read_off_a_line_that_is_too_long_or_too_steep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axis_module, "WIDEST", 2.0)
    monkeypatch.setattr(axis_module, "STEEPEST", 0.1)
    far = [ticket("imp", 0.8, 0.9, 0.5), ticket("imp", 0.39, 0.85, 0.25)]
    steep = [ticket("imp", 0.542, 0.9019, 0.5), ticket("imp", 0.361, 0.7222, 0.25)]
    near = [ticket("imp", 0.8, 0.9, 0.5), ticket("imp", 0.4, 0.81, 0.25)]
    assert group(far, 0.5).at("imp", 0.5).missing == {0: Gap("far", (0.8, 0.39), (0.9, 0.85))}
    assert group(steep, 0.5).at("imp", 0.5).missing == {0: Gap("steep", (0.542, 0.361), (0.9019, 0.7222))}
    assert group(near, 0.5).at("imp", 0.5).n == 1


def test_seeds_without_a_value_for_one_reason_have_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axis_module, "STEEPEST", 0.1)
    values = {0: (0.575, 0.404), 1: (0.575, 0.429), 2: (0.575, 0.421), 3: (0.575, 0.56)}
    rows = [
        ticket("imp", macs, value, density, seed)
        for seed, (high, low) in values.items()
        for macs, value, density in ((0.8, high, 0.5), (0.4, low, 0.25))
    ]
    reason = "its nearest tickets, at 80 % and 40 %, have 57.50 and 40.40 to 42.90, which are too far apart"
    assert gap_lines(group(rows, 0.5)) == [f"imp at 50.0 %: with seeds 0, 1 and 2 {reason}"]
    without = [one for one in rows if one["seed"] < 3]
    assert gap_lines(group(without, 0.5)) == [f"imp at 50.0 %: {reason}"]


def test_a_metric_without_a_range_is_as_little_read_off_a_cliff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axis_module, "STEEPEST", 0.1)
    loss = {"metric": "loss", "unit": "nats"}
    flat = [ticket("imp", 0.8, 0.90, 0.5, **loss), ticket("imp", 0.4, 0.98, 0.25, **loss)]
    steep = [ticket("imp", 0.8, 0.90, 0.5, **loss), ticket("imp", 0.4, 1.10, 0.25, **loss)]
    cells = []
    for rows in (flat, steep):
        (found,) = board_of(board(rows, AXIS, (0.5,), metric="test/loss")).groups
        cells.append(found.at("imp", 0.5))
    assert cells[0].n == 1
    assert cells[0].between
    assert cells[1].missing == {0: Gap("steep", (0.8, 0.4), (0.90, 1.10))}


@given(st.floats(0.05, 0.95), st.floats(-0.0049, 0.0049))
def test_a_ticket_next_to_the_place_is_measured_there_and_not_interpolated(place: float, off: float) -> None:
    rows = [ticket("imp", place * (1 + off), 0.7, 0.5), ticket("imp", place * 0.6, 0.1, 0.25)]
    cell = group(rows, place).at("imp", place)
    assert cell.values == {0: 0.7}
    assert not cell.between


def test_an_entry_that_has_no_value_anywhere_keeps_its_row_and_takes_no_rank_from_others() -> None:
    rows = [{**one, "seed": seed} for one in TWO for seed in (0, 1)]
    rows += [ticket("other", 0.1, 0.5, 0.1, seed) for seed in (0, 1)]
    found = group(rows, 0.4)
    assert found.order == ("imp", "other")
    assert [found.entries[name].rank for name in found.order] == [None, None]  # alone it is above nobody
    text = results_table(found, 0.05)
    assert "- other at 40.0 %: it has tickets on one side only, the nearest at 10 %." in text
    assert "≈75.00" in text
    assert "between 90.00 at 80 % and 60.00 at 20 %" in text


def test_a_find_run_that_broke_breaks_the_places_below_its_last_ticket() -> None:
    rows = [TWO[0], {**ticket("imp", None, None, 0.4), "role": "find", "outcome": "diverged"}]
    found = group(rows, 0.8, 0.4)
    assert (found.at("imp", 0.8).n, found.at("imp", 0.4).broken) == (1, {0: "diverged"})


def test_all_parameters_are_an_axis_too() -> None:
    rows = [{**one, "density_all": one["density_macs"], "density_macs": None} for one in TWO]
    found = group(rows, 0.4, axis="density_all")
    assert found.at("imp", 0.4).values == {0: pytest.approx(0.75)}
    assert found.axis == "density_all"


def test_results_of_an_earlier_version_without_the_axis_are_refused() -> None:
    rows = [{name: value for name, value in one.items() if name != AXIS} for one in TWO]
    with pytest.raises(PrunebenchError, match=r"imp, seed 0, round 50: no density_macs is recorded; run it again"):
        group(rows, 0.4)


def test_density_itself_needs_no_note_and_takes_tickets_as_they_are() -> None:
    found = board_of(board(TWO, axis="density", at=(), entries=["imp"]))
    assert found.notes == ()
    assert found.groups[0].at("imp", 0.5).values == {0: 0.9}


def test_an_axis_that_is_none_is_refused() -> None:
    with pytest.raises(PrunebenchError, match=r'report.axis: "density_mac" is no axis. Did you mean "density_macs"'):
        board_of(board(TWO, axis="density_mac"))


def test_the_notes_of_the_board_say_how_values_came_about_and_the_report_has_no_more_of_them() -> None:
    found = board_of(board(TWO, entries=["imp"]))
    (said,) = found.notes
    assert AXES[AXIS] in said
    assert "interpolated" in said
    assert found.provenance.report.notes == ()


def test_the_readme_and_the_page_name_the_axis_and_the_numbers_stay_those_of_the_tickets(tmp_path: Path) -> None:
    results = board([row("dense", 0, 1.0, 0.98), *TWO])
    write_leaderboard(tmp_path, results, board_of(results))
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"entry / {AXES[AXIS]}" in page
    assert "75.00" in page
    assert "Over all parameters" not in page
    assert AXES[AXIS] in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert AXES[AXIS] in (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert (tmp_path / "results.jsonl").read_text(encoding="utf-8").count("\n") == 3
    told = overview(board_of(results))
    assert told["groups"][0]["axis"] == AXES[AXIS]
    assert any("interpolated" in note for note in told["notes"])


def test_the_command_judges_at_the_same_places_as_the_pages() -> None:
    other = [ticket("other", 0.7, 0.5, 0.8, seed) for seed in (0, 1)]
    other += [ticket("other", 0.3, 0.3 + 0.01 * seed, 0.4, seed) for seed in (0, 1)]
    rows = [{**one, "seed": seed} for one in TWO for seed in (0, 1)] + other
    told = {"source": "", "claim": "", "better": "imp", "worse": "other", "density": 0.4}
    results = board(rows, expectations=[told], entries=["imp", "other"])
    (command,) = verdicts(results)
    (page,) = overview(board_of(results))["expectations"]
    assert command.means is not None
    assert command.means[0] == pytest.approx(0.75)
    assert page["verdict"] == command.verdict == "reproduced"


FILE = """
schema = 1
seeds = [0]
densities = [0.5]
data = "mnist5k"
model = { name = "lenet_300_100" }
train = { horizon = "10it", batch = 60, optimizer = { use = "sgd", lr = 0.1 } }

[[entry]]
name = "weights"
schedule = "one-shot"
score = "magnitude"
select = "global"

[[entry]]
name = "channels"
extends = "weights"
units = "channels"

[report]
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("", 'report.axis: "weights" .* and "channels" .* prune different units'),
        ('axis = "density_macs"', "`axis` and `at` belong together"),
        ("at = [0.5]", "`axis` and `at` belong together"),
        ('axis = "density_macs"\nat = [1.0]', "`at` has distinct shares between 0 and 1"),
        ('axis = "density_macs"\nat = [0.5, 0.5]', "`at` has distinct shares between 0 and 1"),
        ('axis = "macs"\nat = [0.5]', "report.axis"),
    ],
)
def test_what_cannot_be_compared_is_an_error_of_the_file(
    tmp_path: Path, catalogue: Catalogue, report: str, said: str
) -> None:
    (tmp_path / "file.toml").write_text(FILE + report)
    with pytest.raises(ConfigError, match=said):
        config.load(tmp_path / "file.toml", catalogue)


def test_entries_with_other_units_are_accepted_with_an_axis(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "file.toml").write_text(FILE + 'axis = "density_all"\nat = [0.5, 0.25]')
    report = config.load(tmp_path / "file.toml", catalogue).report
    assert (report.axis, report.at) == ("density_all", (0.5, 0.25))


def test_tickets_that_are_far_apart_say_nothing_of_what_lies_between() -> None:
    far = [TWO[0], ticket("imp", 0.19, 0.6, 0.25)]
    assert group(TWO, 0.8, 0.5).at("imp", 0.5).trials == 1
    assert group(far, 0.8, 0.5).at("imp", 0.5).trials == 0


def test_entries_meet_at_the_share_of_the_dense_networks_time_that_an_analysis_measured() -> None:
    def timed(entry: str, round: int, share: float) -> dict[str, Any]:
        analysis = {"role": "analyse", "metric": "cost/latency_share", "split": "", "position": "", "exact": False}
        return row(entry, 0, 0.5, share, **{**analysis, "round": round})

    rows = [*TWO, ticket("small", 0.5, 0.7, 0.5), timed("imp", 50, 0.9), timed("imp", 75, 0.4), timed("small", 50, 0.6)]
    found = group(rows, 0.6, axis="latency")
    share = log(0.9 / 0.6) / log(0.9 / 0.4)
    assert found.at("imp", 0.6).values[0] == pytest.approx(0.9 + share * (0.6 - 0.9))
    assert found.at("small", 0.6).values[0] == pytest.approx(0.7)


def test_a_ticket_whose_time_nothing_measured_is_named_with_what_to_do() -> None:
    with pytest.raises(PrunebenchError, match="no latency is recorded; give the entry an analysis that measures"):
        group(TWO, 0.6, axis="latency")
