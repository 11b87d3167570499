from pathlib import Path
from typing import Any

import pytest

from prunebench import PrunebenchError
from prunebench.leaderboard.expectations import contradictions, judge, verdicts
from prunebench.types import Results

from .boards import PROVENANCE, results, row, write

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


def verdict(results: list[dict[str, Any]], reduced: bool = False, **changes: Any) -> str:
    (judgement,) = judge([{**CLAIM, **changes}], results, (), 0.05, reduced)
    return judgement.verdict


@pytest.mark.parametrize(
    ("gap", "said"), [(0.02, "reproduced"), (-0.02, "contradicted"), (0.001, "undecided"), (-0.001, "undecided")]
)
def test_the_verdict_asks_whether_the_interval_excludes_zero(gap: float, said: str) -> None:
    assert verdict(rows(gap)) == said


def test_a_reduced_recipe_is_not_judged_but_its_difference_is_shown() -> None:
    judgements = judge([CLAIM], rows(-0.02), (), 0.05, True)
    assert judgements[0].verdict == "not judged"
    text = contradictions(judgements)
    assert "**not judged (reduced recipe)**" in text
    assert "88.00 against 90.00, difference -2.00 ± 0.25 percentage points, n = 3" in text
    assert verdict(rows(-0.02), judge=False) == "not judged"


def test_one_seed_decides_nothing() -> None:
    judgements = judge([CLAIM], rows(0.02, seeds=1), (), 0.05, False)
    assert judgements[0].verdict == "undecided"
    assert "one seed gives no interval" in contradictions(judgements)


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
        ({"metric": "test/loss"}, 'metric "test/loss": no evaluation has it'),
    ],
)
def test_what_cannot_be_compared_is_undecided_and_says_why(changes: dict[str, Any], said: str) -> None:
    judgements = judge([{**CLAIM, **changes}], rows(0.02), (), 0.05, False)
    assert judgements[0].verdict == "undecided"
    assert said in contradictions(judgements)


def test_without_a_density_the_mean_over_all_shared_ones_is_compared() -> None:
    results = []
    for seed in range(3):
        for density, gap in [(0.8, 0.01), (0.5, 0.03)]:
            results += [row("late", seed, density, 0.9 + gap + seed / 1000), row("init", seed, density, 0.9)]
        results.append(row("late", seed, 0.1, 0.1))
    judgements = judge([{**CLAIM, "density": None}], results, (), 0.05, False)
    assert judgements[0].verdict == "reproduced"
    assert "+2.10 ± 0.25 percentage points, n = 3, mean over 2 densities" in contradictions(judgements)


def test_contradictions_come_first() -> None:
    swapped = {**CLAIM, "better": "init", "worse": "late", "published": {}}
    text = contradictions(judge([CLAIM, swapped], rows(0.02), (), 0.05, False))
    assert text.index("**contradicted**") < text.index("**reproduced**")
    assert "1 contradicted, 1 reproduced" in text


def test_trials_that_are_not_ok_are_named_beside_the_verdict() -> None:
    results = [*rows(0.02), row("late", 3, 0.16777216, None, outcome="collapsed"), row("init", 3, 0.16777216, 0.9)]
    assert "(late: 1 of 4 collapsed)" in contradictions(judge([CLAIM], results, (), 0.05, False))


def test_a_dense_network_is_compared_at_any_density() -> None:
    results = [r for r in rows(0.0) if r["entry"] == "late"] + [row("init", seed, 1.0, 0.8) for seed in range(3)]
    assert verdict(results) == "reproduced"


def test_nothing_expected_prints_nothing() -> None:
    assert contradictions(judge([], rows(0.02), (), 0.05, False)) == ""


def recorded(rows: list[dict[str, Any]], *expectations: dict[str, Any], **provenance: Any) -> Results:
    told = {"alpha": 0.05, "expectations": list(expectations)}
    return Results("lottery", rows, (), {**PROVENANCE, "entries": ["late", "init"], "report": told, **provenance})


def test_verdicts_have_published_ours_and_the_interval() -> None:
    (judgement,) = verdicts(recorded(rows(-0.02), CLAIM))
    said = judgement.to_json()
    assert said["verdict"] == "contradicted"
    assert said["published"] == {"better": 0.9131, "worse": 0.8856}
    assert said["ours"] == pytest.approx({"better": 0.88, "worse": 0.9})
    assert said["difference"] == pytest.approx(-0.02)
    assert said["low"] < said["difference"] < said["high"] < 0
    assert (said["n"], said["where"], said["metric"]) == (3, "lenet on mnist", "test/accuracy")


def test_an_expectation_of_a_metric_that_was_not_measured_is_an_error_that_names_the_measured_ones() -> None:
    with pytest.raises(PrunebenchError, match=r'"late beats init": metric "test/macs" was not .* test/accuracy\.$'):
        verdicts(recorded(rows(0.02), {**CLAIM, "metric": "test/macs"}))


def test_a_metric_that_only_analyses_have_was_not_measured() -> None:
    analysed = [*rows(0.02), row("late", 0, None, 1.0, role="analyse", metric="barrier")]
    with pytest.raises(PrunebenchError, match="was not measured"):
        verdicts(recorded(analysed, {**CLAIM, "metric": "test/barrier"}))


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
    judgements = judge([CLAIM], rows(0.001, spread=0.0, seeds=2), (), 0.05, False)
    assert judgements[0].verdict == "undecided"
    assert "equal differences give no interval" in contradictions(judgements)


def test_a_density_is_found_as_it_is_printed(tmp_path: Path) -> None:
    rows = results(densities=(0.512, 0.0287))
    expectation = {"source": "s", "claim": "c", "better": "imp", "worse": "random", "metric": "test/accuracy"}
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.029}])
    assert "that density was not evaluated" not in page
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.03}])
    assert "that density was not evaluated" not in page
    page = write(tmp_path, rows, expectations=[{**expectation, "density": 0.02}])
    assert "that density was not evaluated" in page
