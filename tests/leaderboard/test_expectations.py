from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from prunebench import PrunebenchError
from prunebench.api.board import Judgement
from prunebench.api.results import Results
from prunebench.benchmark.expectations import Expect
from prunebench.leaderboard.expectations import evaluate_expectations, verdicts
from prunebench.leaderboard.judgements import ours_text, section, sides_text, verdict_text
from prunebench.leaderboard.source import Source

from .boards import PROVENANCE, results, row, typed, write

CLAIM: dict[str, Any] = {
    "source": "Renda et al. 2020",
    "claim": "late beats init",
    "better": "late",
    "worse": "init",
    "metric": "test/accuracy",
    "density": 0.168,
    "published": {"better": 0.9131, "worse": 0.8856},
}


def rows(gap: float, spread: float = 0.001, seeds: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """Two entries at density 0.8^8, printed as 0.168."""
    return [
        row(entry, seed, 0.16777216, 0.9 + (gap + spread * (seed - 1) if entry == "late" else 0.0), **changes)
        for entry in ("late", "init")
        for seed in range(seeds)
    ]


def recorded(rows: list[dict[str, Any]], *expectations: dict[str, Any], **provenance: Any) -> Results:
    known = {**PROVENANCE, "entries": ["late", "init"], **provenance}
    return typed(rows, (), known, expectations=list(expectations), against=None)


def judge(rows: list[dict[str, Any]], *expectations: dict[str, Any], **provenance: Any) -> list[Judgement]:
    results = recorded(rows, *expectations, **provenance)
    return evaluate_expectations(results, Source(results))


def verdict(rows: list[dict[str, Any]], **changes: Any) -> str:
    (judgement,) = judge(rows, {**CLAIM, **changes})
    return judgement.verdict


@pytest.mark.parametrize(
    ("gap", "said"), [(0.02, "reproduced"), (-0.02, "contradicted"), (0.001, "undecided"), (-0.001, "undecided")]
)
def test_the_verdict_asks_whether_the_interval_excludes_zero(gap: float, said: str) -> None:
    assert verdict(rows(gap)) == said


def test_a_reduced_recipe_is_not_judged_but_its_difference_is_shown() -> None:
    judgements = judge(rows(-0.02), CLAIM, profile="smoke")
    assert judgements[0].verdict == "not judged"
    text = section(judgements)
    assert "**not judged (reduced recipe)**" in text
    assert "88.00 against 90.00, difference -2.00 ± 0.25 percentage points, n = 3" in text
    assert verdict(rows(-0.02), judge=False) == "not judged"


def test_one_seed_decides_nothing() -> None:
    judgements = judge(rows(0.02, seeds=1), CLAIM)
    assert judgements[0].verdict == "undecided"
    assert "one seed gives no interval" in section(judgements)


def test_where_lower_was_published_as_better_a_lower_value_reproduces_it() -> None:
    sooner: dict[str, Any] = {"metric": "valid/early_stop_iteration", "published": {"better": 400, "worse": 900}}
    named: dict[str, Any] = {"metric": "early_stop_iteration", "split": "valid", "unit": "it"}
    assert verdict(rows(-0.2, **named), **sooner) == "reproduced"
    assert verdict(rows(-0.2, **named), **{**sooner, "published": None}) == "reproduced"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"density": 0.5}, "that density was not evaluated"),
        ({"density": None, "worse": "gone"}, "they share no density"),
        ({"worse": "gone"}, 'no ok trial of "gone"'),
        ({"metric": "test/loss"}, 'metric "test/loss": nothing has it'),
    ],
)
def test_what_cannot_be_compared_is_undecided_and_says_why(changes: dict[str, Any], said: str) -> None:
    judgements = judge(rows(0.02), {**CLAIM, **changes})
    assert judgements[0].verdict == "undecided"
    assert said in section(judgements)


@pytest.mark.parametrize("entry", ["late", "init"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"density": None},
        {"density": None, "round": 1},
        {"density": None, "metric": "smallest_matching_density"},
        {"density": None, "metric": "movement/ratio"},
    ],
)
def test_a_claim_of_a_method_that_does_not_apply_is_undecided_and_says_why(entry: str, changes: dict[str, Any]) -> None:
    nothing = {"role": "find", "metric": "", "split": "", "unit": "", "position": "", "key": ""}
    apart = [row(entry, seed, None, None, **nothing, outcome="inapplicable", note="no batch norm") for seed in range(3)]
    lines = [*(one for one in rows(0.02) if one["entry"] != entry), *apart]
    (judgement,) = judge(lines, {**CLAIM, **changes})
    assert (judgement.verdict, judgement.where) == ("undecided", ("lenet", "mnist"))
    assert ours_text(judgement) == f'"{entry}" does not apply to this network: no batch norm'
    (same,) = verdicts(recorded(lines, {**CLAIM, **changes}))
    assert same == judgement


def test_without_a_density_the_mean_over_all_shared_ones_is_compared() -> None:
    results = []
    for seed in range(3):
        for density, gap in [(0.8, 0.01), (0.5, 0.03)]:
            results += [row("late", seed, density, 0.9 + gap + seed / 1000), row("init", seed, density, 0.9)]
        results.append(row("late", seed, 0.1, 0.1))
    judgements = judge(results, {**CLAIM, "density": None})
    assert judgements[0].verdict == "reproduced"
    assert "+2.10 ± 0.25 percentage points, n = 3, mean over 2 densities" in section(judgements)


def test_contradictions_come_first() -> None:
    swapped = {**CLAIM, "better": "init", "worse": "late", "published": {}}
    text = section(judge(rows(0.02), CLAIM, swapped))
    assert text.index("**contradicted**") < text.index("**reproduced**")
    assert "1 contradicted, 1 reproduced" in text


def test_trials_that_are_not_ok_are_named_beside_the_verdict() -> None:
    results = [*rows(0.02), row("late", 3, 0.16777216, None, outcome="collapsed"), row("init", 3, 0.16777216, 0.9)]
    assert "(late: 1 of 4 collapsed)" in section(judge(results, CLAIM))


def test_a_dense_network_is_compared_at_any_density() -> None:
    results = [r for r in rows(0.0) if r["entry"] == "late"] + [row("init", seed, 1.0, 0.8) for seed in range(3)]
    assert verdict(results) == "reproduced"


def test_nothing_expected_prints_nothing() -> None:
    assert section(judge(rows(0.02))) == ""


def test_verdicts_have_published_ours_and_the_interval() -> None:
    (judgement,) = verdicts(recorded(rows(-0.02), CLAIM))
    assert judgement.verdict == "contradicted"
    assert judgement.expectation.published == (0.9131, 0.8856)
    assert judgement.means == pytest.approx((0.88, 0.9))
    assert judgement.pair is not None
    assert judgement.pair.ends is not None
    assert judgement.pair.difference == pytest.approx(-0.02)
    assert judgement.pair.ends[0] < judgement.pair.difference < judgement.pair.ends[1] < 0
    assert (judgement.pair.n, judgement.where, judgement.metric.name) == (3, ("lenet", "mnist"), "test/accuracy")


def test_an_expectation_of_a_metric_that_was_not_measured_is_an_error_that_names_the_measured_ones() -> None:
    with pytest.raises(PrunebenchError, match=r'"late beats init": metric "test/macs" was not .* test/accuracy\.$'):
        verdicts(recorded(rows(0.02), {**CLAIM, "metric": "test/macs"}))


def test_a_metric_that_only_find_runs_have_was_not_measured() -> None:
    found = [*rows(0.02), row("late", 0, 1.0, 1.0, role="find", metric="barrier")]
    with pytest.raises(PrunebenchError, match="was not measured"):
        verdicts(recorded(found, {**CLAIM, "metric": "test/barrier"}))


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        ({"profile": "smoke"}, "not judged"),
        ({"settings": ["train.batch=60"]}, "not judged"),
        ({"settings": ["execution.workers=0", "report.alpha=0.1"]}, "contradicted"),
    ],
)
def test_what_is_not_the_files_full_recipe_is_not_judged(provenance: dict[str, Any], said: str) -> None:
    assert verdicts(recorded(rows(-0.02), CLAIM, **provenance))[0].verdict == said


def test_the_same_difference_in_two_seeds_decides_nothing() -> None:
    judgements = judge(rows(0.001, spread=0.0, seeds=2), CLAIM)
    assert judgements[0].verdict == "undecided"
    assert "equal differences give no interval" in section(judgements)


def test_a_density_is_found_as_it_is_printed(tmp_path: Path) -> None:
    rows = results(densities=(0.512, 0.0287))
    expectation = {"source": "s", "claim": "c", "better": "imp", "worse": "random", "metric": "test/accuracy"}
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.029}])
    assert "that density was not evaluated" not in page
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.03}])
    assert "that density was not evaluated" not in page
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.02}])
    assert "that density was not evaluated" in page


# Two measurements, of analyses or of evaluations, of one entry or two.


def analysed(
    metric: str, values: dict[tuple[int | None, str], float], entry: str = "late", **changes: Any
) -> list[Any]:
    """Measurements of an analysis by (round, position) in three seeds, a thousandth apart."""
    density = {None: None, 0: 1.0, 1: 0.8, 2: 0.64, 3: 0.512}
    found = []
    for (round_, position), value in values.items():
        for seed in range(3):
            placed = {"round": round_, "position": position, "split": "", "role": "analyse", "unit": "", **changes}
            found.append(row(entry, seed, density[round_], value + seed / 1000, metric=metric, **placed))
    return found


def of(**stated: Any) -> dict[str, Any]:
    """An expectation as a file's, with what is not stated as a resolved one has it."""
    return Expect(source="s", claim="c", **stated).model_dump()


class Only:
    """The one judgement of an expectation, with its texts."""

    def __init__(self, judgement: Judgement) -> None:
        self.verdict, self.pair, self.means = judgement.verdict, judgement.pair, judgement.means
        self.compared, self.ours = sides_text(judgement), ours_text(judgement)


def only(expectation: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    (judgement,) = judge(rows, expectation)
    return Only(judgement)


def test_a_measurement_is_held_against_a_number() -> None:
    ratio = analysed("movement/ratio", {(1, ""): 1.2, (2, ""): 1.4})
    above = only(of(better="late", metric="movement/ratio", density=0.64, than={"value": 1.0}), ratio)
    assert above.verdict == "reproduced"
    assert above.pair.difference == pytest.approx(0.401)
    assert above.compared == "late against 1, movement/ratio at density 64 %"
    below = only(of(better="late", metric="movement/ratio", round=1, than={"value": 1.3}), ratio)
    assert below.verdict == "contradicted"
    everywhere = only(of(better="late", metric="movement/ratio", than={"value": 1.0}), ratio)
    assert everywhere.pair.difference == pytest.approx(0.301)
    assert "mean over 2 rounds" in everywhere.ours


def test_two_measurements_of_one_entry_are_paired_by_seed_and_round() -> None:
    rows = [*analysed("angle/r-1", {(1, ""): 0.9, (2, ""): 0.8}), *analysed("angle/r-2", {(2, ""): 0.5, (3, ""): 0.1})]
    rows[0] = {**rows[0], "value": 0.95}
    rows[-4] = {**rows[-4], "value": 0.51}
    one = only(of(better="late", metric="angle/r-1", than={"metric": "angle/r-2"}), rows)
    assert one.verdict == "reproduced"
    assert one.means == pytest.approx((0.801, (0.5 + 0.501 + 0.51) / 3))  # round 2 alone is shared
    assert one.compared == "late, angle/r-1, against late, angle/r-2"
    stated = only(of(better="late", metric="angle/r-1", round=1, than={"metric": "angle/r-2", "round": 3}), rows)
    assert stated.means == pytest.approx(((0.95 + 0.901 + 0.902) / 3, 0.101))


def test_the_end_is_held_against_the_start_by_number_and_not_by_text() -> None:
    rows = analysed("utility/std", {(0, "90it"): 0.2, (0, "1000it"): 0.5, (0, "0it"): 0.1})
    rows[-1] = {**rows[-1], "value": 0.11}
    one = only(of(better="late", metric="utility/std", position="end", than={"position": "start"}), rows)
    assert one.verdict == "reproduced"
    assert one.means == pytest.approx((0.501, (0.1 + 0.101 + 0.11) / 3))
    assert one.compared == "late, utility/std at the end, against late, utility/std at the start"
    early = only(of(better="late", metric="utility/std", than={"position": "90it"}), rows)
    assert early.means == pytest.approx((0.501, 0.201))
    gone = only(of(better="late", metric="utility/std", position="91it", than={"position": "0it"}), rows)
    assert gone.ours == '"late" has no utility/std at 91it'


def test_two_densities_of_one_entry_are_compared_and_lower_barriers_are_better() -> None:
    rows = analysed("landscape/barrier", {(1, ""): 0.1, (3, ""): 0.4}, unit="fraction")
    rows[0] = {**rows[0], "value": 0.105}
    stated = {"better": "late", "metric": "landscape/barrier", "density": 0.8, "than": {"density": 0.512}}
    one = only(of(**stated), rows)
    assert one.verdict == "reproduced"
    assert one.pair.difference == pytest.approx(-0.3 + 0.005 / 3)
    assert "10.27 against 40.10" in one.ours
    assert only(of(**{**stated, "than": {"density": 0.3}}), rows).verdict == "undecided"


def test_analyses_of_two_entries_are_compared_where_both_have_them() -> None:
    rows = [
        *analysed("lpr/distance", {(1, "2ep"): 0.3, (2, "2ep"): 0.5}),
        *analysed("lpr/distance", {(2, "2ep"): 0.2, (3, "2ep"): 0.1}, entry="init"),
    ]
    rows[-4] = {**rows[-4], "value": 0.21}
    one = only(of(better="late", worse="init", metric="lpr/distance"), rows)
    assert one.means == pytest.approx((0.501, (0.2 + 0.201 + 0.21) / 3))


def test_an_analysis_of_the_whole_trial_meets_every_round_and_one_of_a_split_is_named_with_it() -> None:
    rows = [
        *analysed("flat/level", {(None, ""): 0.5}, split="test"),
        *analysed("flat/step", {(1, ""): 0.1, (2, ""): 0.2}),
    ]
    rows[0] = {**rows[0], "value": 0.51}
    one = only(of(better="late", metric="test/flat/level", than={"metric": "flat/step"}), rows)
    assert one.means == pytest.approx(((0.51 + 0.501 + 0.502) / 3, 0.151))


def test_an_analysis_that_broke_is_named_beside_the_verdict() -> None:
    rows = analysed("movement/ratio", {(1, ""): 1.2})
    broke = {"split": "", "role": "analyse", "round": None, "outcome": "failed", "metric": "movement"}
    one = only(
        of(better="late", metric="movement/ratio", than={"value": 1.0}), [*rows, row("late", 3, None, None, **broke)]
    )
    assert (one.verdict, one.pair.n) == ("reproduced", 3)
    assert one.ours.endswith("(late: 1 of 4 failed)")


def test_positions_of_several_units_must_be_stated() -> None:
    rows = analysed("utility/std", {(0, "2ep"): 0.2, (0, "1000it"): 0.5})
    one = only(of(better="late", metric="utility/std", than={"value": 0.1}), rows)
    assert one.ours == 'metric "utility/std": state a position, one of 1000it, 2ep'


def test_an_evaluation_is_looked_at_where_it_is_stated() -> None:
    rows = []
    for seed in range(3):
        for position, late, init in [("0it", 0.1, 0.1), ("500it", 0.7, 0.5), ("1000it", 0.8, 0.9)]:
            rows.append(row("late", seed, 0.5, late + seed / 1000, position=position))
            rows.append(row("init", seed, 0.5, init, position=position))
    assert only(of(better="late", worse="init"), rows).verdict == "contradicted"
    assert only(of(better="late", worse="init", position="end"), rows).verdict == "contradicted"
    assert only(of(better="late", worse="init", position="500it"), rows).verdict == "reproduced"
    at_start = only(of(better="late", than={"position": "start"}, position="500it"), rows)
    assert at_start.means == pytest.approx((0.701, 0.101))
    assert at_start.compared == "late, test/accuracy at 500it, against late, test/accuracy at the start"


def test_a_round_is_compared_with_a_dense_network_too() -> None:
    rows = [row("dense", seed, 1.0, 0.5) for seed in range(3)]
    for seed in range(3):
        rows += [row("late", seed, 0.8, 0.9, round=1), row("late", seed, 0.64, 0.6 + seed / 1000, round=2)]
    assert only(of(better="late", worse="dense", round=2), rows).means == pytest.approx((0.601, 0.5))


def test_the_smallest_density_that_keeps_the_dense_accuracy_is_a_metric_of_which_less_is_better() -> None:
    kept: dict[str, list[float | None]] = {
        "late": [0.512, 0.512, 0.64],
        "init": [0.8, None, 0.8],
        "lost": [None, None, None],
    }
    rows = [row("dense", seed, 1.0, 0.9) for seed in range(3)]
    for entry, smallest in kept.items():
        for seed, least in enumerate(smallest):
            for round_, density in enumerate([0.8, 0.64, 0.512], 1):
                value = 0.9 if least is not None and density >= least else 0.89
                rows.append(row(entry, seed, density, value, round=round_))
    metric = "test/accuracy/smallest_matching_density"
    one = only(of(better="late", worse="init", metric=metric), rows)
    # where the first density fails already, only the dense network keeps it: 1
    assert one.means == pytest.approx((mean([0.512, 0.512, 0.64]), mean([0.8, 1.0, 0.8])))
    assert "percentage points" in one.ours
    assert only(of(better="late", worse="lost", metric="smallest_matching_density"), rows).verdict == "reproduced"
    assert only(of(better="lost", worse="late", metric=metric), rows).verdict == "contradicted"
    assert only(of(better="late", worse="gone", metric=metric), rows).ours == 'no measurement of "gone"'
    without = [r for r in rows if r["entry"] != "dense"]
    assert only(of(better="late", worse="init", metric=metric), without).ours == 'no measurement of "late" and "init"'


def test_what_is_stated_of_no_metric_is_of_the_one_that_the_task_is_judged_by() -> None:
    named = {"metric": "perplexity", "unit": ""}
    rows = [row("dense", seed, 1.0, 3.0 + seed / 1e4, **named) for seed in range(3)]
    for entry, least in (("late", 0.64), ("init", 0.8)):
        for seed in range(3):
            for round_, density in enumerate([0.8, 0.64, 0.512], 1):
                value = (3.0 if density >= least else 4.0) + seed / 1e4
                rows.append(row(entry, seed, density, value, round=round_, **named))
    of_tokens = {"metrics": {"perplexity": {"unit": "", "higher": False, "low": 1.0}}, "primary": "perplexity"}
    stated = {"source": "a paper", "claim": "", "better": "late", "worse": "init"}
    known = {**PROVENANCE, **of_tokens, "entries": ["dense", "late", "init"]}
    expectations = [{**stated, "metric": "smallest_matching_density"}, {**stated, "density": 0.64}]
    results = typed(rows, (), known, expectations=expectations, metric="test/perplexity")
    density, value = sorted(evaluate_expectations(results, Source(results)), key=lambda j: j.expectation.better.metric)
    assert density.means == pytest.approx((0.64, 0.8))
    assert value.expectation.better.metric == "test/perplexity"
    assert value.means == pytest.approx((3.0001, 4.0001))


def test_a_density_recovered_after_a_loss_does_not_count() -> None:
    rows = [row("dense", seed, 1.0, 0.9) for seed in range(3)]
    for seed in range(3):
        for round_, (density, value) in enumerate([(0.8, 0.91), (0.64, 0.89), (0.512, 0.92)], 1):
            rows.append(row("late", seed, density, value + seed / 10000, round=round_))
    one = only(of(better="late", metric="smallest_matching_density", than={"value": 0.9}), rows)
    assert one.means == pytest.approx((0.8, 0.9))


def test_measured_metrics_of_analyses_and_made_ones_are_known_to_the_command() -> None:
    recordable = [*rows(0.02), *analysed("movement/ratio", {(1, ""): 1.2})]
    known = [
        of(better="late", metric="movement/ratio", than={"value": 1.0}),
        of(better="late", worse="init", metric="smallest_matching_density"),
    ]
    assert len(verdicts(recorded(recordable, *known))) == 2
    typo = of(better="late", metric="movement/ratio", than={"metric": "movement/ration"})
    with pytest.raises(PrunebenchError, match=r'"movement/ration" was not measured.*movement/ratio, test/accuracy'):
        verdicts(recorded(recordable, typo))


def test_what_is_compared_is_told_on_the_page(tmp_path: Path) -> None:
    rows = [*results(), *analysed("movement/ratio", {(1, ""): 1.2}, entry="imp")]
    page = write(tmp_path, rows, expectations=[of(better="imp", metric="movement/ratio", than={"value": 1.0})])
    assert "imp against 1, movement/ratio." in page
    assert "1.2010 against 1.0000, difference +0.2010 ± 0.0025, n = 3" in page


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ([], "none; no published result is held against this run, so the table alone says whether the claim holds."),
        (["reproduced", "contradicted"], "1 contradicted, 1 reproduced, of 2 published results."),
        (
            ["reduced+", "reduced+", "reduced-"],
            "3 published results not judged (reduced recipe): 2 go the published way, 1 goes the other way.",
        ),
        (["reduced?"], "1 published result not judged (reduced recipe): 1 could not be compared."),
    ],
)
def test_the_verdict_beside_the_claim_says_what_the_run_says_of_it(verdicts: list[Any], text: str) -> None:
    (base,) = judge(rows(0.02), CLAIM)
    found = []
    for verdict in verdicts:
        if verdict.startswith("reduced"):
            direction = {"+": "reproduced", "-": "contradicted", "?": "undecided"}[verdict[-1]]
            pair = None if verdict[-1] == "?" else base.pair
            found.append(replace(base, verdict="not judged", why="reduced recipe", direction=direction, pair=pair))
        else:
            found.append(replace(base, verdict=verdict))
    assert verdict_text(found) == text


@pytest.mark.parametrize(("gap", "way"), [(0.02, "reproduced"), (-0.02, "contradicted"), (0.0, "undecided")])
def test_what_is_not_judged_has_the_direction_that_a_verdict_would_have(gap: float, way: str) -> None:
    (judgement,) = judge(rows(gap), CLAIM, profile="smoke")
    assert (judgement.verdict, judgement.direction) == ("not judged", way)


EQUAL = {"published": {}, "equal_within": 0.005}


@pytest.mark.parametrize(
    ("gap", "spread", "said"),
    [
        (0.0, 0.0001, "reproduced"),
        (-0.004, 0.0001, "reproduced"),  # a difference that is certain, and too small to matter
        (0.0, 0.02, "undecided"),  # no difference is found, and no equality either
        (0.02, 0.001, "contradicted"),
        (-0.02, 0.001, "contradicted"),
        (0.0055, 0.001, "undecided"),
    ],
)
def test_an_equality_is_judged_by_its_margin_and_has_no_direction(gap: float, spread: float, said: str) -> None:
    assert verdict(rows(gap, spread, seeds=5), **EQUAL) == said
    swapped = {"better": "init", "worse": "late"}
    assert verdict(rows(gap, spread, seeds=5), **EQUAL, **swapped) == said


def test_an_equality_says_its_margin_and_its_test() -> None:
    (one,) = judge(rows(0.0005, seeds=5), {**CLAIM, **EQUAL})
    assert "equal within 0.50 percentage points?, p = " in ours_text(one)
    assert "two one-sided tests" in section([one])


@pytest.mark.parametrize(
    ("published", "text", "said"),
    [
        ({"difference": 0.034}, "difference +3.40 percentage points", "reproduced"),
        ({"difference": -0.034}, "difference -3.40 percentage points", "contradicted"),
        ({"ratio": 2.5}, "2.5 times the other", "reproduced"),
        ({"ratio": 0.4}, "0.4 times the other", "contradicted"),
    ],
)
def test_a_difference_or_a_ratio_may_be_all_that_is_published(
    published: dict[str, float], text: str, said: str
) -> None:
    (one,) = judge(rows(0.02), {**CLAIM, "published": published})
    assert f"Published: {text}." in section([one])
    assert one.verdict == said
