"""A horizon that the found mask decides: training the smaller network with the dense one's work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import Workshop, prepared, rows, run
from prunebench.api.errors import ConfigError
from prunebench.testing import toy_plan

LONGER = {"evaluate": {"horizon": {"of": "24it", "times": "macs-ratio"}}}
"""66 multiplications dense; 53 after the first cut of a fifth, and 42 after the second."""


def of(times: float) -> dict[str, Any]:
    return {"evaluate": {"horizon": {"of": "24it", "times": "macs-ratio", "at_most": times}}}


def iterations(outcome: Any, entry: str) -> list[str]:
    found = rows(outcome, entry=entry, metric="accuracy", split="test")
    return [row["position"] for row in found]


def test_a_run_is_longer_by_what_its_mask_saves(store_path: Path) -> None:
    outcome = run(store_path, LONGER)
    assert iterations(outcome, "dense") == ["24it"]
    assert iterations(outcome, "imp") == [f"{round(24 * 66 / 53)}it", f"{round(24 * 66 / 42)}it"]


def test_the_stretch_may_have_a_limit(store_path: Path) -> None:
    assert iterations(run(store_path, of(1.25)), "imp") == [f"{round(24 * 66 / 53)}it", "30it"]


def test_a_limit_of_one_trains_as_long_as_the_dense_network_and_to_the_same_bits(store_path: Path) -> None:
    plain, limited = (run(store_path, change) for change in ({}, of(1.0)))
    assert [row.value for row in plain.rows] == [row.value for row in limited.rows]


def test_the_learning_rate_is_stretched_with_the_clock(store_path: Path) -> None:
    drops = {"train": {"lr": [{"use": "milestones", "at": ["12it"], "factor": 0.1}]}}
    workshop = Workshop(store_path, drops, LONGER)
    ticket = workshop.chain.tickets[1]
    training = workshop.training(workshop.chain.evaluate(ticket))
    steps = round(24 * 66 / 53)
    assert len(training.rates) == steps
    assert list(training.rates).index(0.1) == pytest.approx(steps / 2, abs=1)


@pytest.mark.parametrize("at", [1, 2, 3, 13, 23])
def test_a_rate_begins_at_the_very_step_at_which_its_iteration_is_measured(store_path: Path, at: int) -> None:
    drops = {"train": {"lr": [{"use": "milestones", "at": [f"{at}it"], "factor": 0.1}]}}
    workshop = Workshop(store_path, drops, LONGER)
    training = workshop.training(workshop.chain.evaluate(workshop.chain.tickets[1]))
    assert list(training.rates).index(0.1) == round(at * 66 / 53)


def test_it_is_keyed_by_what_it_says_and_the_dense_run_is_not_touched_by_it() -> None:
    plain, longer, other = (toy_plan(change) for change in ({}, LONGER, of(2.0)))

    def judged(plan: Any, entry: str) -> set[str]:
        return {e.run.key for t in plan.trials if t.entry == entry for e in t.evaluations}

    assert judged(plain, "dense") == judged(longer, "dense")
    sets = [judged(plan, "imp") for plan in (plain, longer, other)]
    assert not any(a & b for a, b in ((sets[0], sets[1]), (sets[0], sets[2]), (sets[1], sets[2])))


def test_stated_positions_are_those_of_the_clock(store_path: Path) -> None:
    outcome = run(store_path, LONGER, measure={"at": ["12it"]})
    steps = 66 / 53
    assert iterations(outcome, "imp")[:2] == [f"{round(12 * steps)}it", f"{round(24 * steps)}it"]


def test_a_mask_that_changes_in_the_run_cannot_stretch_it() -> None:
    with pytest.raises(ConfigError, match="needs a mask that stays"):
        toy_plan(LONGER, {"evaluate": {"mask_updates": ["set"]}})


def test_an_interrupted_stretched_run_goes_on_to_the_same_weights(store_path: Path, tmp_path: Path) -> None:
    ends = []
    for folder, stops in ((store_path, [24]), (tmp_path / "other", [5, 24])):
        workshop = Workshop(folder, LONGER)
        judged = workshop.chain.evaluate(workshop.chain.tickets[1])
        for stop in stops:
            workshop.make(judged.at(f"{stop}it"))
        ends.append(workshop.store.get(judged.end.address).files["weights.safetensors"])
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"of": "24it", "times": "latency"}, "times: must be 'macs-ratio', not 'latency'"),
        ({"of": "10%", "times": "macs-ratio"}, "would be a share of itself"),
        ({"times": "macs-ratio"}, "of: missing"),
        ({"of": "24it", "times": "macs-ratio", "at_most": 0.5}, "at_most"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(store_path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(store_path, evaluate={"horizon": table})
