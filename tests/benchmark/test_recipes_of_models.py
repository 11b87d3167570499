"""What a model states of the recipes: over the file's, under the entry's, and only where it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from prunebench.api.errors import ConfigError
from prunebench.benchmark.entries import Benchmark, Entry
from prunebench.plan.compile import make_plan
from prunebench.testing import toy_benchmark
from prunebench.testing.toy import ToyProbe

SLOW = {"name": "slow", "train": {"batch": 5}, "find": {"stop": "50%"}}


def two(*changes: Mapping[str, Any], **own: Any) -> Benchmark:
    models = [{"use": "toy-net", "label": "plain"}, {"use": "toy-net", "label": "own", **own}]
    return toy_benchmark({"model": models}, *changes)


def batches(entry: Entry) -> list[tuple[int, int]]:
    return [(entry.on(place).find.batch, entry.on(place).evaluate.batch) for place in (0, 1)]


def test_a_models_recipe_lies_over_the_files() -> None:
    plain = two().all_entries["imp"]
    usual = plain.find.batch
    entry = two(train={"batch": 5}, find={"batch": 3}).all_entries["imp"]
    assert batches(entry) == [(usual, usual), (3, 5)]


def test_an_entrys_recipe_lies_over_a_models() -> None:
    change = {"entry": [{"name": "imp", "evaluate": {"batch": 2}}]}
    entry = two(change, train={"batch": 5}).all_entries["imp"]
    assert batches(entry)[1] == (5, 2)


def test_runs_are_trained_by_the_recipe_of_their_model() -> None:
    plan = make_plan(two(train={"batch": 5}), ToyProbe())
    of_model = {trial.model: {e.run.batch for e in trial.evaluations} for trial in plan.trials}
    assert of_model["own"] == {5}
    assert of_model["plain"] != {5}


def test_anothers_tickets_are_found_as_they_are_there_and_judged_as_here() -> None:
    change = {"entry": [{"name": "again", "tickets": "imp", "ticket": [], "evaluate": {"batch": 2}}]}
    entry = two(change, train={"batch": 5}).all_entries["again"]
    assert batches(entry)[1] == (5, 2)


def test_a_file_whose_models_complete_the_recipe_needs_no_whole_one() -> None:
    benchmark = two()
    assert benchmark.all_entries["imp"].models[0].find is None


def test_an_error_is_named_where_the_model_states_it() -> None:
    with pytest.raises(ConfigError) as refused:
        two(train={"batch": 0})
    assert any("model[1].train.batch" in line for line in refused.value.errors), refused.value.errors


def test_a_key_that_no_recipe_has_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        two(train={"bach": 4})
    assert any("model[1].train.bach" in line for line in refused.value.errors), refused.value.errors
