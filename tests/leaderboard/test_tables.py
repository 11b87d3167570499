from typing import Any
from unicodedata import east_asian_width

from prunebench.api.metric import metric_of
from prunebench.api.report import results_table
from prunebench.leaderboard.readme.differences import difference_table

from .boards import board, lines_of, results, row

ACCURACY = metric_of("test/accuracy", "fraction")


def tables(rows: list[dict[str, Any]], against: str = "dense") -> tuple[str, str]:
    found = board(rows, against=against)
    (group,) = found.groups
    assert group.differences is not None
    return results_table(group, 0.05), difference_table(group, group.differences, found)


def cells(text: str) -> dict[str, list[str]]:
    """The table's cells by entry."""
    lines = lines_of(text)
    name = 1 if lines[0][0] == "rank" else 0
    return {line[name]: line for line in lines}


def test_the_dense_reference_is_the_first_row_and_unranked() -> None:
    lines = list(cells(tables(results())[0]).values())[2:]
    assert lines[0][:3] == ["–", "dense (unpruned)", "3"]
    assert lines[0][4:] == ["–"] * 4
    assert [line[1] for line in lines[1:]] == ["imp", "imp-late", "random"]
    assert lines[1][0] == "1"


def test_a_cell_is_the_mean_and_half_the_interval_in_percent() -> None:
    text, _ = tables([row("imp", 0, 0.5, 0.90), row("imp", 1, 0.5, 0.91), row("imp", 2, 0.5, 0.92)])
    assert cells(text)["imp"] == ["–", "imp", "3", "91.00 ± 2.48"]


def test_an_interval_ends_where_the_range_of_the_metric_does() -> None:
    text, differences = tables(
        [row("dense", s, 1.0, 0.2) for s in (0, 1)] + [row("imp", s, 0.5, v) for s, v in ((0, 0.1), (1, 0.31))]
    )
    assert cells(text)["imp"][-1] == "20.50 [0.00, 100.00]"
    assert "ends where the metric's range does" in text
    assert (
        cells(differences)["imp"][1].startswith("+0.50 ± 100.00")
        or "[-100.00, +100.00]" in cells(differences)["imp"][1]
    )


def test_one_seed_has_no_interval_and_the_page_says_so() -> None:
    text, differences = tables(results(seeds=1))
    assert "± " not in text.replace("mean ± 95 %", "")
    assert all(cell.endswith(" (n=1)") for cell in cells(text)["imp"][4:])
    assert "One seed gives no interval" in text
    assert "without interval or test" in differences
    assert "p=" not in differences


def test_trials_that_are_not_ok_are_counted_in_the_cell_and_the_rule_is_below() -> None:
    rows = results()
    for broken in [r for r in rows if r["entry"] == "imp" and r["density"] == 0.0687]:
        broken.update({"outcome": "collapsed", "value": 0.1135})
    for broken in [r for r in rows if r["entry"] == "random" and r["seed"] == 1 and r["density"] == 0.0687]:
        broken.update({"outcome": "failed", "value": None})
    text, differences = tables(rows)
    assert cells(text)["imp"][-1] == "(3 of 3 collapsed)"
    assert cells(text)["random"][-1].endswith(" (1 of 3 failed)")
    assert "11.35" not in text
    assert [line[1] for line in cells(text).values()][3:] == ["imp-late", "random", "imp"]
    assert "stands below every entry without" in text
    assert cells(differences)["imp"][-1] == "–"
    assert cells(differences)["random"][-1].endswith("(n=2)")


def test_a_cell_with_fewer_seeds_says_its_n() -> None:
    rows = [r for r in results() if not (r["entry"] == "imp" and r["seed"] == 2 and r["density"] == 0.512)]
    line = cells(tables(rows)[0])["imp"]
    assert line[2] == "2 to 3"
    assert line[4].endswith("(n=2)")
    assert "(n=" not in line[5]


def test_a_density_over_all_parameters_is_kept_beside_the_first() -> None:
    rows = [row("imp", 0, 0.5, 0.9, density_all=0.523), row("random", 0, 0.5, 0.9, density_all=0.6)]
    assert "Over all parameters the densities below 100 % are 52.3 to 60.0 %." in tables(rows)[0]


def test_differences_are_paired_by_seed() -> None:
    rows = []
    for seed, base in enumerate([0.5, 0.7, 0.9]):
        rows += [row("dense", seed, 1.0, base), row("imp", seed, 0.5, base - 0.01 - 0.0001 * seed)]
    text = tables(rows)[1]
    # unpaired, the seeds' spread would give about +- 40 points
    assert cells(text)["imp"][1] == "**-1.01 ± 0.02, p<0.001**"


def test_bold_needs_the_corrected_p_and_not_the_raw_one() -> None:
    rows = [row("dense", seed, 1.0, 0.9) for seed in range(3)]
    wobble = [0.0, 0.001, 0.002]
    for place in range(40):
        rows += [row("imp", seed, 0.9 * 0.9**place, 0.89 + wobble[seed]) for seed in range(3)]
    alone = [r for r in rows if r["density"] in (1.0, 0.9)]
    assert cells(tables(alone)[1])["imp"][1].startswith("**-0.90 ± 0.25, p=0.004")
    assert "**-" not in tables(rows)[1]
    assert "over the 40 tested cells" in tables(rows)[1]


def test_the_reference_may_be_a_pruned_entry() -> None:
    line = cells(tables(results(), against="imp")[1])
    assert set(line) >= {"dense (unpruned)", "imp-late", "random"}
    assert "imp" not in line
    assert len(line["dense (unpruned)"]) == 5
    assert all("p" in cell for cell in line["dense (unpruned)"][1:])


def test_two_dense_references_are_compared_at_density_1_only() -> None:
    rows = [*results(), *(row("wide", seed, 1.0, 0.99) for seed in range(3))]
    assert [cell == "–" for cell in cells(tables(rows)[1])["wide (unpruned)"][1:]] == [False, True, True, True, True]


def test_no_common_seed_is_said_in_the_cell() -> None:
    rows = [row("dense", 0, 1.0, 0.9), row("imp", 1, 0.5, 0.9)]
    assert cells(tables(rows)[1])["imp"] == ["imp", "no common seed"]


def test_a_reference_that_was_not_run_is_said_so() -> None:
    assert tables(results(), against="gone")[1] == "Difference to gone: none, for it has no value of an ok trial here."


def test_tables_are_aligned_when_read_raw() -> None:
    for text in tables(results(entries=["名前-wide", "ünïcode", "a|b"])):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        shown = [sum(2 if east_asian_width(c) == "W" else 1 for c in line) for line in lines]
        assert len(lines) > 4
        assert len(set(shown)) == 1


def test_a_loss_reads_in_nats_and_iterations_without_decimals() -> None:
    assert metric_of("test/loss", "nats").number(0.12345) == "0.1235"
    assert metric_of("valid/early_stop_iteration", "it").number(433.4) == "433"
    assert not metric_of("valid/early_stop_iteration", "it").higher
    assert metric_of("test/early_stop_accuracy", "fraction").higher


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert ACCURACY.signed(-0.00001) == "0.00"
    assert ACCURACY.signed(0.0123) == "+1.23"


def test_the_least_detectable_difference_is_told_for_this_n_and_for_more_seeds() -> None:
    text = tables(results())[1]
    assert "Least detectable: with 3 pairs" in text
    assert "at the strictest step of Holm's correction" in text
    assert "with 5, " in text
    assert " with 20 pairs." in text


def test_an_interval_of_width_zero_is_not_taken_for_certainty() -> None:
    rows = [row("dense", seed, 1.0, 0.9) for seed in range(2)] + [row("imp", seed, 0.5, 0.901) for seed in range(2)]
    text, differences = tables(rows)
    assert "An interval of width 0 means that all seeds gave the same value" in text
    assert cells(differences)["imp"] == ["imp", "+0.10, p=0.500"]
    assert "a sign test's" in differences
