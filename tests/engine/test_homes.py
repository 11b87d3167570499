"""Workers of two environments in one run: chains stay in one, every row says where it was made, boards list both.

The environments differ for real: torch is told to use no vector instructions in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import catalogue, here, open_store, prepared, rows, run
from prunebench import runner
from prunebench.engine.executors.api import Capacity, Executor
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.slots import Slot
from prunebench.engine.homes import HomesStore, homes_of
from prunebench.runner import running
from prunebench.store.environment import Environment

IMP = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
SEEDS: Mapping[str, Any] = {
    "seeds": [0, 1, 2],
    "entry": [{"name": "dense", "units": "toy-units"}, {"name": "imp", **IMP}],
}


def plain() -> Environment:
    """This machine without vector instructions."""
    fields = here().fields
    return Environment({**fields, "instructions": f"{str(fields['instructions']).split()[0]} DEFAULT"})


def capacities(*slots: int) -> list[Capacity]:
    return [Capacity(one, count) for one, count in zip((here(), plain()), slots, strict=True)]


def test_what_is_connected_has_one_home_and_homes_share_the_work(store_path: Path) -> None:
    plan = prepared(store_path, SEEDS).plan
    stores = {one.id: open_store(store_path, one) for one in (here(), plain())}
    homes = homes_of(plan, capacities(2, 1), stores)
    assert homes.keys() == plan.wanted.keys()
    for key in plan.wanted:
        assert {homes[parent.key] for parent in plan.phases[key].parents} <= {homes[key]}
    by_seed = {trial.seed: {homes[e.run.key] for e in trial.evaluations} for trial in plan.trials}
    assert all(len(found) == 1 for found in by_seed.values())
    assert sorted(min(found) for found in by_seed.values()) == sorted([here().id, here().id, plain().id])


def test_a_chain_goes_on_where_it_is_stored(store_path: Path) -> None:
    plan = prepared(store_path, SEEDS).plan
    run(store_path, SEEDS, {"seeds": [1]})
    stores = {one.id: open_store(store_path, one) for one in (here(), plain())}
    homes = homes_of(plan, capacities(1, 1000), stores)
    by_seed = {trial.seed: homes[trial.evaluations[0].run.key] for trial in plan.trials}
    assert by_seed == {0: plain().id, 1: here().id, 2: plain().id}


def test_an_output_counts_at_home_and_nowhere_else(store_path: Path) -> None:
    plan = prepared(store_path, SEEDS).plan
    run(store_path, SEEDS)
    stores = {one.id: open_store(store_path, one) for one in (here(), plain())}
    for one, counts in ((here(), True), (plain(), False)):
        store = HomesStore(plan, dict.fromkeys(plan.wanted, one.id), stores, here().id)
        addresses = [ref.address for ref in plan.sinks]
        assert store.have(addresses) == (set(addresses) if counts else set())
        assert all(store.has(address) is counts for address in addresses)


@pytest.fixture
def two_environments(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any, Any], Executor]:
    def start(ready: Any, store: Any, parts: Any) -> Executor:
        from engine.toy_runs import worker_config

        slots = [Slot("cpu", {}, here()), Slot("cpu", {"ATEN_CPU_CAPABILITY": "default"}, plain())]
        return LocalExecutor(worker_config(ready.store_path), slots, silence=1e9)

    monkeypatch.setattr(running, "executor_of", start)
    monkeypatch.setattr(running, "computes_here", lambda execution: False)
    return start


@pytest.mark.usefixtures("two_environments")
def test_a_run_in_two_environments_tells_them_apart(store_path: Path, tmp_path: Path) -> None:
    if here().id == plain().id:
        pytest.skip("this machine has no vector instructions to go without")
    ready = prepared(store_path, SEEDS)
    outcome = runner.run(ready, catalogue=catalogue())
    assert outcome.failed == {}
    provenance = outcome.provenance
    main = Environment(provenance.environment).id  # type: ignore[arg-type]
    other = ({here().id, plain().id} - {main}).pop()
    assert {name: dict(fields) for name, fields in provenance.environments.items()} == {
        one.id: dict(one.fields) for one in (here(), plain())
    }
    marks = {seed: {tuple(row.get("environments", ())) for row in rows(outcome, seed=seed)} for seed in (0, 1, 2)}
    assert all(len(found) == 1 for found in marks.values())
    assert {found for marks_of in marks.values() for found in marks_of} == {(), (other,)}
    # Each artifact, with all that it rests on, was made in one.
    for one in (here(), plain()):
        store = open_store(store_path, one)
        for ref in ready.plan.sinks:
            if store.has(ref.address):
                assert store.meta(ref.address).lineage == (one.id,)
    runner.write(ready, outcome, tmp_path / "board")
    page = (tmp_path / "board" / "README.md").read_text()
    assert all(one.id in page and str(one.fields["instructions"]) in page for one in (here(), plain()))
    assert "Several environments" in page
    again = runner.run(ready, catalogue=catalogue())
    assert again.execution.done == 0
    assert [row.to_json() for row in again.rows] == [row.to_json() for row in outcome.rows]
