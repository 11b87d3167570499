import random
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.api.board import Gap
from prunebench.api.report import percent_labels

from .boards import ENTRIES, PROVENANCE, board, inapplicable, results, row
from .boards import group as only_group
from .boards import ranks as places


def order(rows: list[dict[str, Any]]) -> list[str]:
    return [entry for entry, _ in places(rows)]


def test_draws_average_within_a_seed_and_n_counts_seeds() -> None:
    rows = [row("imp", seed, 0.5, 0.25 * (draw + 1), draw=draw) for seed in range(2) for draw in range(2)]
    cell = only_group(rows).at("imp", 0.5)
    assert cell.values == {0: 0.375, 1: 0.375}
    assert cell.n == 2
    assert [[run.draw for run in runs] for runs in cell.runs.values()] == [[0, 1], [0, 1]]


def test_the_last_measurement_of_a_run_counts_and_not_the_best() -> None:
    rows = [row("imp", 0, 0.5, value, position=at) for at, value in [("900it", 0.99), ("1000it", 0.9), ("0it", 0.1)]]
    assert only_group(rows).at("imp", 0.5).values == {0: 0.9}


def test_analyses_do_not_count_whatever_came_of_them() -> None:
    analysis: dict[str, Any] = {"role": "analyse", "round": None, "metric": "barrier", "split": "", "position": ""}
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 0, None, None, **analysis, outcome="failed")]
    assert only_group(rows) == only_group(rows[:1])


def test_find_runs_twins_and_other_metrics_do_not_count() -> None:
    others: list[dict[str, Any]] = [{"role": "find"}, {"twin": 1}, {"split": "valid"}, {"metric": "loss"}]
    rows = [row("imp", 0, 0.5, 0.9), *(row("imp", 0, 0.5, 0.1, **other) for other in others)]
    assert only_group(rows).at("imp", 0.5).values == {0: 0.9}


def test_two_values_of_one_measurement_are_an_error() -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 0, 0.5, 0.8)]
    with pytest.raises(PrunebenchError, match=r'entry "imp": seed 0, .* two values of test/accuracy at \'1000it\''):
        only_group(rows)


def test_a_repeated_row_changes_nothing() -> None:
    assert only_group([row("imp", 0, 0.5, 0.9)] * 2) == only_group([row("imp", 0, 0.5, 0.9)])


def test_positions_in_different_units_have_no_last_one() -> None:
    with pytest.raises(PrunebenchError, match="positions in different units"):
        only_group([row("imp", 0, 0.5, 0.9), row("imp", 0, 0.5, 0.8, position="3ep")])


def test_a_misspelt_metric_is_an_error_that_names_the_near_one() -> None:
    with pytest.raises(PrunebenchError, match=r'metric "test/acuracy".*Did you mean "test/accuracy"'):
        board(results(), metric="test/acuracy")


def test_no_rows_are_an_error() -> None:
    with pytest.raises(PrunebenchError, match="nothing to rank"):
        board([])


def test_models_and_data_are_groups_of_their_own() -> None:
    rows = [*results(), *results(model="conv2"), *results(data="cifar10")]
    groups = board(rows).groups
    assert [(g.model, g.data) for g in groups] == [("conv2", "mnist"), ("lenet", "cifar10"), ("lenet", "mnist")]


def test_an_entry_evaluated_only_at_round_0_is_dense_and_the_same_at_every_density() -> None:
    group = only_group(results())
    assert group.references == ("dense",)
    assert group.ranked == ENTRIES
    assert group.at("dense", 0.512) == group.at("dense", 1.0)


def test_an_entry_whose_find_run_broke_at_round_0_is_not_a_dense_reference() -> None:
    rows = [*results(), row("mine", 0, 1.0, 0.9), row("mine", 0, 1.0, None, role="find", outcome="diverged")]
    assert "mine" in only_group(rows).ranked


def test_densities_that_differ_by_the_rounding_of_layers_share_a_column() -> None:
    rows = [row("imp", 0, 0.512, 0.9), row("imp-late", 0, 0.51204, 0.9), row("random", 0, 0.52, 0.9)]
    group = only_group(rows)
    assert group.places == (0.52, 0.51204)
    assert [group.labels[density] for density in group.places] == ["52.0 %", "51.2 %"]
    assert group.column(0.512) == 0.51204
    assert group.column(0.4) is None


def test_two_densities_of_one_trial_never_share_a_column() -> None:
    rows = [row("imp", 0, density, value) for density, value in [(0.2, 0.9), (0.1999, 0.8)]]
    group = only_group(rows)
    assert [group.at("imp", density).values for density in group.places] == [{0: 0.9}, {0: 0.8}]
    assert len(set(group.labels.values())) == 2


def test_nearly_dense_is_not_dense() -> None:
    assert only_group([row("dense", 0, 1.0, 0.9), row("imp", 0, 0.9999, 0.9)]).places == (1.0, 0.9999)


def test_densities_read_as_percentages() -> None:
    assert list(percent_labels([1.0, 0.512, 0.21, 0.0115, 0.00115]).values()) == [
        "100 %",
        "51.2 %",
        "21.0 %",
        "1.15 %",
        "0.115 %",
    ]


@pytest.mark.parametrize("outcome", ["collapsed", "diverged", "failed"])
def test_a_trial_that_is_not_ok_has_an_outcome_and_no_value(outcome: str) -> None:
    rows = [*results(seeds=2), row("imp", 2, 0.512, 0.1135, outcome=outcome)]
    cell = only_group(rows).at("imp", 0.512)
    assert sorted(cell.values) == [0, 1]
    assert cell.broken == {2: outcome}


def test_a_seed_with_one_draw_that_is_not_ok_is_not_ok() -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 0, 0.5, None, draw=1, outcome="diverged")]
    cell = only_group(rows).at("imp", 0.5)
    assert (cell.values, cell.broken) == ({}, {0: "diverged"})


def test_a_collapsed_trial_keeps_its_value_for_tables_that_count_it_in() -> None:
    rows = [row("imp", seed, 0.5, 0.9) for seed in range(2)] + [row("imp", 2, 0.5, 0.1135, outcome="collapsed")]
    rows += [row("imp", 3, 0.5, 0.9), row("imp", 3, 0.5, None, draw=1, outcome="diverged")]
    cell = only_group(rows).at("imp", 0.5)
    assert cell.values == {0: 0.9, 1: 0.9}
    assert cell.inclusive == {0: 0.9, 1: 0.9, 2: 0.1135}


def test_draws_of_which_some_collapsed_count_in_with_their_mean() -> None:
    rows = [row("imp", 0, 0.5, 0.9), row("imp", 0, 0.5, 0.1, draw=1, outcome="collapsed")]
    assert only_group(rows).at("imp", 0.5).inclusive == {0: 0.5}


def test_a_find_run_that_broke_counts_at_the_densities_that_it_never_reached() -> None:
    rows = [row("imp", 0, density, 0.9) for density in (0.8, 0.64, 0.512)]
    rows += [row("imp", 1, 0.8, 0.9), row("imp", 1, 0.64, None, role="find", outcome="collapsed")]
    group = only_group(rows)
    assert [group.at("imp", density).broken for density in (0.8, 0.64, 0.512)] == [
        {},
        {1: "collapsed"},
        {1: "collapsed"},
    ]


def test_a_trial_that_broke_before_any_density_was_evaluated_is_still_told_of() -> None:
    group = only_group([row("dense", 0, 1.0, 0.9), row("imp", 3, None, None, role="find", outcome="failed")])
    assert group.unplaced == (("imp", 3, "failed"),)


def test_an_entry_that_does_not_apply_says_so_at_every_place_and_changes_no_other() -> None:
    for unpruned in (["dense"], []):
        others = [one for one in results() if one["entry"] not in unpruned]
        group = only_group([*others, *(inapplicable("slimming", seed) for seed in range(3))])
        slimming = group.entries["slimming"]
        assert (slimming.rank, slimming.tried, slimming.dense) == (None, 0, False)
        below = [place for place in group.places if place < 1]
        why = Gap("inapplicable", note="no batch norm")
        assert {place: cell.missing for place, cell in slimming.cells.items()} == dict.fromkeys(
            below, dict.fromkeys(range(3), why)
        )
        assert {name: entry for name, entry in group.entries.items() if name != "slimming"} == only_group(
            others
        ).entries


def test_where_nothing_was_evaluated_it_is_still_told_that_an_entry_does_not_apply() -> None:
    assert only_group([inapplicable("slimming", 0)]).unplaced == (("slimming", 0, "inapplicable"),)
    assert only_group([row("dense", 0, 1.0, 0.9), inapplicable("slimming", 0)]).at("slimming", 1.0).missing


@pytest.mark.parametrize("other", [row("slimming", 1, 0.5, 0.9), row("slimming", 0, None, None, outcome="failed")])
def test_an_entry_that_does_not_apply_is_not_judged_beside_that(other: dict[str, Any]) -> None:
    with pytest.raises(PrunebenchError, match="does not apply to the network and judge it"):
        only_group([inapplicable("slimming", 0), other])


@settings(max_examples=25, deadline=None)
@given(st.permutations(results()))
def test_cells_and_ranks_do_not_depend_on_the_order_of_the_rows(rows: list[dict[str, Any]]) -> None:
    assert only_group(rows) == only_group(results())
    assert places(rows) == places(results())
    assert order(rows) == ["imp", "imp-late", "random"]


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 4), st.integers(1, 4))
def test_entries_with_the_same_values_share_a_rank(shuffle: random.Random, seeds: int, draws: int) -> None:
    values = [[shuffle.random() for _ in range(draws)] for _ in range(seeds)]
    rows = []
    for entry in ("a", "b"):
        for seed, own in enumerate(values):
            drawn = shuffle.sample(own, draws)
            rows += [row(entry, seed, 0.5, value, draw=draw) for draw, value in enumerate(drawn)]
    rows += [row("c", seed, 0.5, mean(own) - 1.0 - seed / 1e6) for seed, own in enumerate(values)]
    assert places(rows) == [("a", 1), ("b", 1), ("c", 3)]


def test_ranks_use_only_densities_that_all_entries_share() -> None:
    rows = [row("imp", 0, 0.5, 0.8), row("imp", 0, 0.1, 0.1), row("random", 0, 0.5, 0.7)]
    assert order(rows) == ["imp", "random"]
    worse = [{**r, "value": 0.6} if r["entry"] == "imp" and r["density"] == 0.5 else r for r in rows]
    assert order(worse) == ["random", "imp"]


def test_entries_without_a_shared_density_have_no_rank() -> None:
    assert places([row("imp", 0, 0.5, 0.8), row("random", 0, 0.4, 0.7)]) == [("imp", None), ("random", None)]


def test_density_1_does_not_count_for_a_rank() -> None:
    rows = [row(e, 0, d, v) for e, d, v in [("imp", 1.0, 0.1), ("imp", 0.5, 0.9), ("random", 1.0, 0.9)]]
    assert order([*rows, row("random", 0, 0.5, 0.8)]) == ["imp", "random"]


def test_an_entry_with_a_collapsed_trial_ranks_below_those_without_even_if_its_other_trials_are_best() -> None:
    rows = [row("imp", s, 0.5, 0.99) for s in range(2)] + [row("imp", 2, 0.5, None, outcome="collapsed")]
    rows += [row("imp-late", s, 0.5, None, outcome="collapsed") for s in range(3)]
    rows += [row("random", s, 0.5, 0.5) for s in range(3)]
    assert places(rows) == [("random", 1), ("imp", 2), ("imp-late", 3)]


def test_a_trial_that_broke_while_dense_counts_against_its_entry() -> None:
    rows = [row("imp", s, 0.5, 0.9) for s in (0, 1)] + [row("random", s, 0.5, 0.5) for s in (0, 1)]
    rows.append(row("imp", 0, 1.0, None, outcome="diverged"))
    assert places(rows) == [("random", 1), ("imp", 2)]


def test_a_lower_loss_ranks_higher() -> None:
    rows = [row(e, 0, 0.5, v, metric="loss", unit="nats") for e, v in [("imp", 0.3), ("random", 0.2)]]
    assert [entry for entry, _ in places(rows, metric="test/loss")] == ["random", "imp"]


def test_the_direction_that_the_task_states_overrules_the_rule_of_names() -> None:
    rows = [row(e, 0, 0.5, v, metric="perplexity", unit="") for e, v in [("imp", 30.0), ("random", 20.0)]]
    stated = {**PROVENANCE, "metrics": {"perplexity": {"unit": "", "higher": False, "low": 1.0}}}
    found = board(rows, metric="test/perplexity", provenance=stated).groups[0]
    assert found.order == ("random", "imp")
    assert (found.metric.higher, found.metric.low) == (False, 1.0)


def test_the_board_of_another_metric_has_its_order() -> None:
    rows = [row("imp", 0, 0.5, 0.8), row("random", 0, 0.5, 0.7)]
    rows += [row(e, 0, 0.5, v, metric="loss", unit="nats") for e, v in [("imp", 0.3), ("random", 0.2)]]
    found = board(rows)
    assert found.measured == ("test/accuracy", "test/loss")
    assert found.of("test/accuracy") is found
    assert found.of("test/loss").groups[0].order == ("random", "imp")
    with pytest.raises(PrunebenchError, match="no evaluation has it"):
        found.of("test/macs")
