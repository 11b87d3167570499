"""What lies over what: places that hooks open, the layer that an error is named by, and errors that come together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.api.errors import ConfigError
from prunebench.api.hookspecs import SLOTS
from prunebench.benchmark.json_schema import json_schema
from prunebench.benchmark.load import load
from prunebench.benchmark.merging import merge, normalise
from prunebench.components.catalogue import Catalogue
from prunebench.runner.preparing import Options
from prunebench.testing import toy_benchmark, toy_catalogue
from prunebench.testing.toy import TOY

Table = Mapping[str, Any]


class Pruning:
    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self) -> None:
        return None


def known() -> Catalogue:
    """With another task, and a pruning in a place that the test opens for a hook that is there."""
    task = toy_catalogue().find("classification").component
    more = [replace(task, name="tokens"), Component("obs", ComponentConfig, Pruning, version=1)]
    return toy_catalogue().with_components(more, "tasks 1.0")


@pytest.fixture
def open_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SLOTS, "prune", "prunebench_needs")


def imp(**more: Any) -> Table:
    return {"entry": [{"name": "imp", **more}]}


def another(**more: Any) -> Table:
    return {"entry": [{"name": "a", **more}]}


def errors(*changes: Table, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        toy_benchmark(*changes, catalogue=known(), **more)
    return refused.value.errors


# Places that only an installed hook opens.


@pytest.mark.usefixtures("open_places")
def test_a_task_is_the_files_and_an_entry_may_change_it() -> None:
    plain = toy_benchmark(catalogue=known()).all_entries["imp"]
    assert plain.task is not None
    assert plain.task.name == "classification"
    changes = [imp(task={"top5": True}), another(tickets="imp")]
    found = toy_benchmark(*changes, catalogue=known(), task={"use": "tokens", "top5": False}).all_entries
    assert [found[name].task.to_json()["config"] for name in ("dense", "imp", "a")] == [
        {"top5": False},
        {"top5": True},
        {"top5": True},
    ]
    assert "tokens" in {use.name for use in found["imp"].uses()}


@pytest.mark.usefixtures("open_places")
def test_a_wrong_task_is_named_where_it_stands() -> None:
    assert errors(task="token") == (
        'task.use: no component "token". Did you mean "tokens"? `prunebench plugins` lists what is installed.',
    )
    assert errors(imp(task={"tpo5": True})) == (
        'entry "imp": task.tpo5: unknown key (component "classification"). Did you mean "top5"?',
    )
    assert errors(another(tickets="imp", task="tokens")) == (
        'entry "a": task: tickets = "imp" takes that entry\'s task; leave one of the two out',
    )


@pytest.mark.usefixtures("open_places")
def test_a_pruning_takes_the_place_of_a_score_and_a_selection() -> None:
    found = toy_benchmark(another(extends="imp", prune="obs"), catalogue=known()).all_entries["a"]
    assert (found.score, found.select) == (None, None)
    assert found.prune is not None
    back = [another(extends="imp", prune="obs"), {"entry": [{"name": "b", "extends": "a", "score": "random"}]}]
    assert errors(*back) == (
        'entry "b": select: missing; a schedule prunes, so it needs a score and a select, or a prune',
    )
    both = {"schedule": "rewind", "score": "random", "prune": "obs"}
    assert errors(another(**both)) == ('entry "a": score: `prune` scores and selects; leave one of the two out',)
    assert errors(another(prune="obs")) == (
        'entry "a": schedule: missing; without one the entry is dense and its prune is idle',
    )


def test_a_place_that_no_hook_opens_is_no_key_of_a_file() -> None:
    closed = {slot: hook for slot, hook in SLOTS.items() if slot not in ("task", "prune")}
    if closed == SLOTS:
        assert errors(imp(prune="obs"))[-1] == 'entry "imp": prune: unknown key.'
        assert errors(task="tokens") == ("task: unknown key.",)
    properties = json_schema(known())["$defs"]["entry"]["properties"]
    assert {"task", "prune"} & properties.keys() == {"task", "prune"} & SLOTS.keys()


@pytest.mark.usefixtures("open_places")
def test_an_open_place_is_in_the_schema() -> None:
    schema = json_schema(known())
    assert {"classification", "tokens"} <= set(schema["$defs"]["slot-task"]["anyOf"][0]["enum"])
    assert "task" in schema["properties"]


# The layer that states what is wrong.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"train": {"batch": 0}}], "train.batch: must be greater than 0"),
        ([{"find": {"batch": 0}}], "find.batch: must be greater than 0"),
        ([{"evaluate": {"optimizer": {"lr": "x"}}}], "evaluate.optimizer.lr: must be a number, not 'x'"),
        ([imp(train={"batch": 0})], 'entry "imp": train.batch: must be greater than 0'),
        ([imp(find={"batch": 0})], 'entry "imp": find.batch: must be greater than 0'),
        ([imp(loss=[{"use": "gamma-l1", "strngth": 1}])], 'entry "imp": loss.strngth: unknown key'),
        ([imp(find={"optimizer": "adam", "lr": "cosin"})], 'entry "imp": find.lr.use: no component "cosin"'),
        ([imp(evaluate={"optimizer": {"use": "sgd", "lrr": 1}})], 'entry "imp": evaluate.optimizer.lrr: unknown key'),
        ([{"data": {"x": 1}}], "data.x: unknown key"),
        ([imp(data={"x": 1})], 'entry "imp": data.x: unknown key'),
        ([imp(model={"weights": 3})], 'entry "imp": model.weights: must be a string, not 3'),
        ([{"model": [{"use": "toy-net"}, {"use": "toy-nut"}]}], 'model[1].use: no component "toy-nut"'),
        ([imp(train=3)], 'entry "imp": train: must be a table, not 3'),
        ([{"train": {"numerics": "bfloat16"}}], "train.numerics: must be 'float32', 'tf32' or 'bf16', not 'bfloat16'"),
    ],
)
def test_an_error_is_named_once_where_it_stands(changes: list[Table], message: str) -> None:
    (first, *more) = errors(*changes)
    assert first.startswith(message)
    assert more == []


# Errors that come together.


def write(folder: Path, *changes: Table) -> Path:
    table = normalise(TOY)
    for change in changes:
        table = merge(table, normalise(change))
    (folder / "bad.toml").write_text(tomli_w.dumps(table))
    return folder / "bad.toml"


def test_what_a_plan_refuses_comes_with_what_the_file_has_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    late = {"use": "rewind", "to": "30it"}
    file = write(
        tmp_path,
        {"claim": 3},
        imp(densities=[0.7]),
        another(extends="imp", densities=[0.64], schedule=late),
        {"entry": [{"name": "b", "extends": "nobody", "score": "magnitud"}]},
    )
    with pytest.raises(ConfigError) as refused:
        runner.prepare(Options(Path(file.name), store=tmp_path / "store"), toy_catalogue())
    lines = [line.removeprefix("bad.toml: ") for line in refused.value.errors]
    assert lines[0] == "claim: must be a string, not 3"
    assert lines[1].startswith('entry "b": extends: no entry "nobody".')
    assert lines[2].startswith('entry "b": score.use: no component "magnitud".')
    assert lines[3] == 'entry "imp": no round has density 0.7; the nearest are 0.803 (round 1) and 0.636 (round 2)'
    assert lines[4].startswith('entry "a": position "30it" (iteration 30) is outside of the run')
    assert len(lines) == 5


def test_entries_that_lie_over_a_wrong_one_are_named_with_it() -> None:
    changes = [imp(score="magnitud"), another(tickets="imp"), {"entry": [{"name": "b", "extends": "a"}]}]
    assert [line.partition(":")[0] for line in errors(*changes)] == ['entries "imp", "a", "b"']


def test_no_entry_that_is_left_to_score_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="entries: no entry is left to score"):
        load(write(tmp_path, {"entries": []}), toy_catalogue())
    with pytest.raises(ConfigError, match="--only: no entry is left to score"):
        load(write(tmp_path, {"entries": ["dense"]}), toy_catalogue(), only=["imp"])


# Claims of equality.


def expected(**stated: Any) -> Table:
    return {"expect": [{"source": "s", "claim": "c", "better": "imp", "worse": "dense", **stated}]}


def test_an_expectation_may_state_that_two_sides_are_equal() -> None:
    (one,) = toy_benchmark(expected(equal_within=0.01, published={"better": 0.93, "worse": 0.925})).expect
    assert one.equal_within == 0.01
    (other,) = toy_benchmark(expected()).expect
    assert other.equal_within is None


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            {"equal_within": 0.01, "published": {"better": 0.95, "worse": 0.9}},
            "expect[0]: equal_within: the published numbers are 0.05 apart, which is a direction; state a margin of at "
            "least that, or leave it out",
        ),
        ({"equal_within": 0}, "expect[0].equal_within: must be greater than 0"),
        ({"equal_within": True}, "expect[0].equal_within: must be a number, not true"),
    ],
)
def test_a_margin_is_above_0_and_excludes_a_published_direction(stated: Table, message: str) -> None:
    assert errors(expected(**stated)) == (message,)
