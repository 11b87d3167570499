from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import Trained, prepared, rows, run, text
from prunebench.api.rows import Row
from prunebench.results.rows import read_rows

FIELDS = {
    "entry", "model", "data", "seed", "round", "draw", "twin", "role", "density", "density_all", "density_macs",
    "position", "metric", "split", "value", "unit", "outcome", "key",
}  # fmt: skip


def test_a_row_has_exactly_the_documented_fields(store_path: Path) -> None:
    entries = [
        {"name": "dense", "units": "toy-units"},
        {
            "name": "imp",
            "schedule": "rewind",
            "score": "magnitude",
            "select": "global",
            "units": "toy-units",
            "analyse": ["layer-densities"],
        },
    ]
    outcome = run(store_path, entry=entries)
    assert {frozenset(row) for row in rows(outcome)} == {frozenset(FIELDS)}
    assert {row.role for row in outcome.rows} == {"evaluate", "analyse"}
    assert {row.unit for row in outcome.rows} == {"fraction", "nats", "it"}
    assert {(row["entry"], row["round"]) for row in rows(outcome, role="evaluate")} == {
        ("dense", 0),
        ("imp", 1),
        ("imp", 2),
    }


def test_densities_are_of_units_and_of_all_parameters(store_path: Path) -> None:
    outcome = run(store_path)
    found = {(row.entry, row.round): (row.density, row.density_all) for row in outcome.rows}
    assert found == {
        ("dense", 0): (1.0, 1.0),
        ("imp", 1): (53 / 66, 62 / 75),
        ("imp", 2): (42 / 66, 51 / 75),
    }


def test_two_runs_in_one_store_give_the_same_bytes(store_path: Path, undisturbed: bytes) -> None:
    first, second = run(store_path), run(store_path)
    assert text(first) == text(second) == undisturbed
    assert second.execution.done == 0


def test_runs_in_different_stores_give_the_same_bytes(tmp_path: Path, undisturbed: bytes) -> None:
    assert text(run(tmp_path / "one")) == text(run(tmp_path / "two")) == undisturbed


def test_another_seed_gives_other_numbers(store_path: Path) -> None:
    outcome = run(store_path, seeds=[0, 1])
    losses = [[row["value"] for row in rows(outcome, seed=seed, metric="loss", entry="imp")] for seed in (0, 1)]
    assert len(losses[0]) == len(losses[1]) > 0
    assert losses[0] != losses[1]


def test_rows_follow_the_order_of_the_file(store_path: Path) -> None:
    outcome = run(store_path, seeds=[4, 2])
    order = list(dict.fromkeys((row.entry, row.seed, row.round) for row in outcome.rows))
    assert order == [
        ("dense", 4, 0),
        ("dense", 2, 0),
        ("imp", 4, 1),
        ("imp", 4, 2),
        ("imp", 2, 1),
        ("imp", 2, 2),
    ]


def test_a_row_leads_to_the_run_that_it_was_read_off(store_path: Path) -> None:
    outcome = run(store_path)
    plan = prepared(store_path).plan
    for row in rows(outcome):
        phase = plan.phases[row["key"]]
        assert phase.kind == "train"
        assert phase.spec.streams.seed == row["seed"]
        assert phase.spec.streams.round == row["round"] + 1


def test_values_are_stated_where_the_file_asks_and_at_the_end(store_path: Path) -> None:
    outcome = run(store_path, measure={"every": "8it", "at": ["5it", "24it"], "splits": ["test"]})
    positions = [row["position"] for row in rows(outcome, entry="dense", metric="loss")]
    assert positions == ["5it", "24it"]


def test_the_last_row_of_a_run_is_never_its_best_one(store_path: Path) -> None:
    # The accuracy at the end is reported as it is, however good an earlier one was.
    train = {"optimizer": {"use": "sgd", "lr": 3.0, "momentum": 0.9}}
    outcome = run(store_path, train=train, measure={"every": "1it", "at": [f"{i}it" for i in range(24)]})
    found = rows(outcome, entry="dense", metric="accuracy", split="test")
    assert found[-1]["position"] == "24it"
    assert max(row["value"] for row in found) >= found[-1]["value"]


# Environments.


def test_another_environment_does_the_work_again(store_path: Path) -> None:
    run(store_path)
    trained = Trained()
    outcome = run(store_path, {"execution": {"threads": 2}}, observe=trained)
    assert len(trained.keys) == 3
    assert {frozenset(row) for row in rows(outcome)} == {frozenset(FIELDS)}


def test_environments_mix_only_when_asked_and_such_rows_are_marked(store_path: Path, undisturbed: bytes) -> None:
    run(store_path)
    outcome = run(store_path, {"execution": {"threads": 2}}, reuse="any")
    assert outcome.execution.done == 0
    (mine,) = {environment for row in outcome.rows for environment in row.environments}
    assert [{k: v for k, v in row.items() if k != "environments"} for row in rows(outcome)] == [
        json.loads(line) for line in undisturbed.splitlines()
    ]
    longer = run(store_path, {"execution": {"threads": 2}, "rounds": 3}, reuse="any")
    marks = {row["round"]: row["environments"] for row in rows(longer, entry="imp")}
    assert marks[1] == marks[2] == [mine]
    assert mine in marks[3]
    assert len(marks[3]) == 2
    # What was made here alone bears no mark, and no mixture is taken for it.
    again = run(store_path, {"execution": {"threads": 2}, "rounds": 3})
    assert again.execution.done > 0
    assert {frozenset(row) for row in rows(again)} == {frozenset(FIELDS)}


# What goes with them.


def test_the_provenance_says_where_the_numbers_come_from(store_path: Path) -> None:
    ready = prepared(store_path)
    outcome = run(store_path)
    told = outcome.provenance.to_json()
    assert told["file"] == "toy.toml"
    assert told["seeds"] == [0]
    assert told["entries"] == ["dense", "imp"]
    assert told["environment"] == dict(ready.open_store().environment.fields)
    assert set(told["environment"]) == {"torch", "device", "threads", "instructions"}
    assert told["runs"] == {"naive": 5, "distinct": 3, "cached": 0}
    assert told["hardware"]["cores"] >= 1
    assert told["components"]["toy-net"] == {"version": 1, "distribution": "prunebench.testing", "paper": ""}
    assert set(told["components"]) == {
        "classification", "constant", "global", "magnitude", "rewind", "sgd", "toy-data", "toy-net", "toy-units",
    }  # fmt: skip
    json.dumps(told, allow_nan=False)
    assert run(store_path).provenance.runs.model_dump() == {"naive": 5, "distinct": 3, "cached": 3}


def test_a_written_leaderboard_holds_the_rows(store_path: Path, tmp_path: Path, undisturbed: bytes) -> None:
    from prunebench.runner.publishing import write

    board = tmp_path / "board"
    write(prepared(store_path), run(store_path), board)
    assert (board / "results.jsonl").read_bytes() == undisturbed
    assert read_rows(board) == [Row.model_validate_json(line) for line in undisturbed.splitlines()]
    assert (board / "README.md").is_file()


@pytest.mark.parametrize("more", [{"measure": {"every": "4it"}}, {"measure": {"splits": ["test"]}}])
def test_measuring_otherwise_leaves_the_values_as_they_are(
    store_path: Path, undisturbed: bytes, more: dict[str, Any]
) -> None:
    known = {
        tuple(row[name] for name in ("entry", "round", "position", "metric", "split")): row["value"]
        for row in map(json.loads, undisturbed.splitlines())
        if row["metric"] in ("loss", "accuracy")
    }
    for row in rows(run(store_path, more)):
        if row["metric"] in ("loss", "accuracy"):
            place = tuple(row[name] for name in ("entry", "round", "position", "metric", "split"))
            assert row["value"] == known[place]
