"""Judged weights that are kept: an export after a run trains nothing, and nothing that was there is made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine.toy_runs import Trained, catalogue, open_store, prepared

from prunebench import runner
from prunebench.plan.trial import Plan
from prunebench.runner import judged_weights as keeping
from prunebench.runner.export import Choice, export, work_of_export
from prunebench.runner.judged_weights import Keep, Sizes, judged_weights, kept
from prunebench.runner.preparing import Prepared


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def ready(store: Path, keep: Keep) -> Prepared:
    plain = prepared(store)
    return replace(plain, plan=kept(plain.plan, keep))


def carried_out(made: Prepared) -> Trained:
    trained = Trained()
    runner.run(made, trained, catalogue())
    return trained


@pytest.mark.parametrize("keep", ["small", "judged"])
def test_what_is_exported_after_a_run_trains_nothing(store: Path, tmp_path: Path, keep: Keep) -> None:
    carried_out(ready(store, keep))
    trained = Trained()
    for entry in ("dense", "imp"):
        assert work_of_export(ready(store, keep), Choice(entry)) == {}
        done = export(ready(store, keep), Choice(entry), tmp_path / entry, observe=trained, catalogue=catalogue())
        assert done.differences["weights.safetensors"] == 0.0
    assert trained.keys == set()


def test_without_it_an_export_trains_the_run_again_and_says_how_much(store: Path) -> None:
    carried_out(ready(store, "none"))
    assert sum(work_of_export(ready(store, "none"), Choice("imp")).values()) > 0


def test_small_weights_are_no_reason_to_train_what_is_there(store: Path) -> None:
    carried_out(ready(store, "none"))
    assert carried_out(ready(store, "small")).keys == set()
    assert carried_out(ready(store, "judged")).keys != set()
    have = open_store(store)
    assert all(have.has(ref.address) for ref in judged_weights(prepared(store).plan))


def test_nothing_large_is_kept_without_being_asked_for(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SMALL", 10)
    assert ready(store, "small").plan.alongside == {}
    assert list(ready(store, "judged").plan.also) == judged_weights(prepared(store).plan)


def test_the_estimate_is_near_what_the_store_then_has(store: Path) -> None:
    made = ready(store, "small")
    before = runner.status(made, made.open_store())
    assert before.disk.judged > 0
    carried_out(made)
    sizes, have = Sizes(made.plan), open_store(store)
    for ref in judged_weights(made.plan):
        (data,) = have.get(ref.address).files.values()
        assert sizes.of(ref) <= len(data) <= sizes.of(ref) + 2_048
    after = runner.status(made, made.open_store())
    assert (after.disk.total, after.disk.judged) == (0, 0)


def test_what_a_plan_takes_is_found_out_once_however_many_weights_it_has(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[object] = []

    class Counted(Sizes):
        def __init__(self, plan: Plan) -> None:
            plans.append(plan)
            super().__init__(plan)

    monkeypatch.setattr(keeping, "Sizes", Counted)
    plan = prepared(store).plan
    assert len(judged_weights(plan)) > 1
    kept(plan, "small")
    # Going through the plan again for each of its weights took most of a cached run with 10^4 phases.
    assert len(plans) == 1
