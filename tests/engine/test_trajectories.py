from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.toy_runs import Steps, Workshop, rows, run
from prunebench.api.errors import StoreError
from prunebench.api.planning import PlannedTicket, Ref, Run
from prunebench.engine.loop import Training
from prunebench.engine.work import CancelledError
from prunebench.testing import same

NOISY: dict[str, Any] = {"data": "augmented", "model": {"use": "net", "kind": "dropout"}}
"""Everything that draws random numbers while it trains."""


def dense(workshop: Workshop) -> Run:
    return workshop.chain.find(workshop.chain.dense, 1)


def digests(workshop: Workshop, *refs: Ref) -> list[Mapping[str, str]]:
    return [workshop.store.get(ref.address).digests for ref in refs]


class StopsAt:
    """A channel that tells training to stop at the first news from a place on."""

    def __init__(self, place: int) -> None:
        self.place = place

    def progress(self, fields: Mapping[str, Any]) -> None:
        if fields["iteration"] >= self.place:
            raise CancelledError


@pytest.fixture
def steps_done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The position of each step that is trained."""
    done: list[int] = []
    step = Training._step

    def noted(self: Training, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        done.append(self.position)
        return step(self, images, labels)

    monkeypatch.setattr(Training, "_step", noted)
    return done


def test_asking_ten_states_trains_once(workshop: Workshop, steps_done: list[int]) -> None:
    run = dense(workshop)
    kinds = workshop.make(*[run.at(f"{place}it") for place in range(1, 11)])
    assert kinds.count("train") == 1
    assert steps_done == list(range(10))


def test_asking_a_later_state_resumes_from_the_checkpoint(workshop: Workshop, steps_done: list[int]) -> None:
    run = dense(workshop)
    workshop.make(run.at("10it"))
    workshop.make(run.at("13it"), run.at("24it"))
    assert steps_done == list(range(24))


@pytest.mark.parametrize("optimizer", [{"use": "sgd", "lr": 0.1, "momentum": 0.9}, {"use": "adam", "lr": 0.01}])
def test_a_run_in_parts_is_bit_equal_to_a_run_in_one_go(store_path: Path, tmp_path: Path, optimizer: Any) -> None:
    changes = {**NOISY, "train": {"optimizer": optimizer, "lr": ["constant", {"use": "warmup", "over": "15it"}]}}
    at_once, in_parts = Workshop(store_path, changes), Workshop(tmp_path / "parts", changes)
    run = dense(at_once)
    dense(in_parts)
    wanted = [run.at("7it"), run.end, run.end_optimizer]
    at_once.make(*wanted)
    for place in (3, 7, 8, 20):
        in_parts.make(run.at(f"{place}it"))
    in_parts.make(*wanted)
    assert digests(at_once, *wanted) == digests(in_parts, *wanted)


def test_a_cancelled_run_checkpoints_and_goes_on_bit_equal(store_path: Path, tmp_path: Path) -> None:
    changes = {**NOISY, "train": {"horizon": "240it"}}
    at_once, cancelled = Workshop(store_path, changes), Workshop(tmp_path / "cancelled", changes)
    run = dense(at_once)
    dense(cancelled)
    curve = at_once.curve(run, every=20, splits=["train", "valid", "test"], train_sample=50)
    cancelled.curve(run, every=20, splits=["train", "valid", "test"], train_sample=50)
    at_once.make(run.end, curve)
    for place in (1, 60, 61, 150):
        with pytest.raises(CancelledError):
            cancelled.make(run.end, curve, channel=StopsAt(place))
        assert not cancelled.store.has(run.end.address)
    steps = Steps()
    cancelled.make(run.end, curve, channel=steps)
    assert min(steps.at) >= 150
    assert digests(at_once, run.end, curve) == digests(cancelled, run.end, curve)


def test_a_checkpoint_is_dropped_at_the_horizon(workshop: Workshop) -> None:
    run = dense(workshop)
    workshop.make(run.at("10it"), seconds=0)
    assert len(scratch(workshop)) == 1
    workshop.make(run.end, seconds=0)
    assert scratch(workshop) == []


def scratch(workshop: Workshop) -> list[Path]:
    return [path for path in (workshop.store.root / "scratch").rglob("*") if path.is_file()]


def test_a_state_whose_payload_was_dropped_is_recomputed_and_reproduces_its_digest(workshop: Workshop) -> None:
    run = dense(workshop)
    refs = [run.at("5it"), run.at("17it"), run.end]
    workshop.make(*refs)
    before = digests(workshop, *refs)
    for ref in refs[:2]:
        workshop.store.drop_payload(ref.address)
    steps = Steps()
    workshop.make(*refs, channel=steps)
    assert steps.at == [5, 17]
    assert digests(workshop, *refs) == before


def test_a_recomputation_that_gives_another_digest_is_refused(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dense(workshop)
    workshop.make(run.end)
    workshop.store.drop_payload(run.end.address)
    monkeypatch.setattr("prunebench.engine.loop.CHUNK", 5)
    workshop.make(run.end)
    workshop.store.drop_payload(run.end.address)
    monkeypatch.setattr("torch.nn.functional.cross_entropy", halved)
    with pytest.raises(StoreError, match="did not reproduce its digest"):
        workshop.make(run.end)


def halved(*args: Any, **keywords: Any) -> torch.Tensor:
    log = torch.log_softmax(args[0], 1)
    return -log.gather(1, args[1][:, None]).mean() / 2


def test_an_earlier_state_than_the_checkpoint_starts_again(workshop: Workshop) -> None:
    run, other = dense(workshop), Workshop(workshop.store.root.with_name("other"))
    workshop.make(run.at("20it"))
    workshop.make(run.at("4it"))
    dense(other)
    other.make(run.at("4it"))
    assert digests(workshop, run.at("4it")) == digests(other, run.at("4it"))


# Curves.


def test_a_curve_has_a_point_at_both_ends_at_each_multiple_and_where_it_is_stated(workshop: Workshop) -> None:
    run = dense(workshop)
    curve = workshop.curve(run, every=10, at=[3, 20], splits=["test"])
    workshop.make(curve)
    points = workshop.points(curve)
    assert [point["iteration"] for point in points] == [0, 3, 10, 20, 24]
    assert set(points[0]) == {"iteration", "test/loss", "test/accuracy"}


def test_curves_that_are_measured_differently_agree_where_they_meet(workshop: Workshop) -> None:
    run = dense(workshop)
    fine = workshop.curve(run, every=1, splits=["train", "valid", "test"], train_sample=1_000)
    coarse = workshop.curve(run, every=8, splits=["valid"])
    workshop.make(coarse)
    steps = Steps()
    workshop.make(fine, coarse, channel=steps)
    by_iteration = {point["iteration"]: point for point in workshop.points(fine)}
    assert list(by_iteration) == list(range(25))
    for point in workshop.points(coarse):
        assert point.items() <= by_iteration[point["iteration"]].items()


def test_a_curve_resumes_with_its_points(workshop: Workshop, tmp_path: Path) -> None:
    run = dense(workshop)
    until = workshop.curve(run, every=4, until=12)
    whole = workshop.curve(run, every=4)
    assert until.detail == whole.detail
    workshop.make(until)
    steps = Steps()
    workshop.make(whole, channel=steps)
    assert steps.at == [16, 20, 24]
    other = Workshop(tmp_path / "other")
    dense(other)
    other.curve(run, every=4)
    other.make(whole)
    assert workshop.points(whole) == other.points(whole)
    assert workshop.points(until) == workshop.points(whole)[:4]


def test_a_curve_is_of_the_weights_at_its_points(workshop: Workshop) -> None:
    run = dense(workshop)
    curve = workshop.curve(run, every=6, splits=["test"])
    workshop.make(curve, run.at("6it"), run.end)
    data = workshop.workbench.data(workshop.work(run.key, frozenset()).spec.data, 0)
    ((images, labels),) = data["test"].batches([_all(24)])
    model = workshop.workbench.model(workshop.chain.context.model_spec, workshop.weights(run.end))
    with torch.no_grad():
        logits = model(images)
    last = workshop.points(curve)[-1]
    assert last["test/accuracy"] == float((logits.argmax(1) == labels).double().mean())
    assert last["test/loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), abs=1e-6)


def _all(count: int) -> Any:
    from prunebench.api.data import Gather

    return Gather(torch.arange(count))


@pytest.mark.parametrize("how", [{"every": 1}, {"every": 7, "at": [2, 3]}, {}])
def test_measuring_touches_no_training_stream(workshop: Workshop, tmp_path: Path, how: dict[str, Any]) -> None:
    plain, measured = Workshop(tmp_path / "plain", NOISY), Workshop(tmp_path / "measured", NOISY)
    run = dense(plain)
    dense(measured)
    plain.make(run.end, run.end_optimizer)
    curve = measured.curve(run, splits=["train", "valid", "test"], train_sample=20, **how)
    measured.make(run.end, run.end_optimizer, curve)
    assert digests(plain, run.end, run.end_optimizer) == digests(measured, run.end, run.end_optimizer)


def test_the_key_of_a_run_does_not_hold_how_it_is_measured(store_path: Path) -> None:
    keys = {
        dense(Workshop(store_path, measure=measure)).key
        for measure in ({"every": "1it"}, {"every": "8it"}, {"every": "8it", "splits": ["test"]})
    }
    assert len(keys) == 1


# Early stopping.


def test_early_stopping_is_at_the_first_minimum_of_the_validation_loss(store_path: Path) -> None:
    # So high a rate that the loss goes up and down.
    train = {"optimizer": {"use": "sgd", "lr": 3.0, "momentum": 0.5}}
    outcome = run(store_path, train=train, measure={"every": "1it", "at": [f"{i}it" for i in range(25)]})
    stops = set()
    for entry in ("dense", "imp"):
        for round in {row["round"] for row in rows(outcome, entry=entry)}:
            found = rows(outcome, entry=entry, round=round)
            losses = {
                int(row["position"][:-2]): row["value"]
                for row in found
                if row["metric"] == "loss" and row["split"] == "valid"
            }
            assert sorted(losses) == list(range(25))
            first = min(place for place, loss in losses.items() if loss == min(losses.values()))
            stops.add(first)
            (stop,) = [row for row in found if row["metric"] == "early_stop_iteration"]
            assert (stop["value"], stop["position"], stop["unit"]) == (float(first), f"{first}it", "it")
            for split in ("train", "valid", "test"):
                (there,) = [r for r in found if (r["metric"], r["split"]) == ("early_stop_accuracy", split)]
                (accuracy,) = [
                    r for r in found if (r["metric"], r["split"], r["position"]) == ("accuracy", split, f"{first}it")
                ]
                assert there["value"] == accuracy["value"]
                assert there["position"] == f"{first}it"
    assert len(stops) > 1
    assert min(stops) < 24


def test_of_equal_minima_the_first_counts(store_path: Path) -> None:
    # Rate 1e-30 changes no weight: all losses are equal.
    outcome = run(store_path, train={"optimizer": {"use": "sgd", "lr": 1e-30}})
    assert {row.value for row in outcome.rows if row.metric == "early_stop_iteration"} == {0.0}


def test_without_a_validation_split_there_is_no_early_stopping(store_path: Path) -> None:
    outcome = run(store_path, measure={"every": "8it", "splits": ["test"]})
    assert {row.metric for row in outcome.rows} == {"accuracy", "loss"}


# The optimizer's state.


def continued(workshop: Workshop, run: Run, state: str, start: str = "9it") -> Run:
    """The same run, taken up at a place from its stored state."""
    ticket = PlannedTicket(0, run.at(start), None, 66, run.ticket.start.parse(start), optimizer=run.optimizer_at(start))
    recipe = workshop.recipes.find.replace(optimizer_state=state)
    return workshop.chain.evaluate(ticket, recipe)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"use": "sgd", "lr": 0.1, "momentum": 0.9},
        {"use": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"use": "adam", "lr": 0.01},
    ],
)
def test_a_start_with_weights_and_optimizer_is_an_uninterrupted_continuation(store_path: Path, optimizer: Any) -> None:
    workshop = Workshop(store_path, NOISY, train={"optimizer": optimizer})
    run = dense(workshop)
    with_weights, fresh = continued(workshop, run, "with-weights"), continued(workshop, run, "fresh")
    workshop.make(run.end, run.end_optimizer, with_weights.end, with_weights.end_optimizer, fresh.end)
    assert same(workshop.weights(run.end), workshop.weights(with_weights.end))
    assert digests(workshop, run.end_optimizer) == digests(workshop, with_weights.end_optimizer)
    assert not same(workshop.weights(run.end), workshop.weights(fresh.end))


def test_the_optimizer_state_of_pruned_weights_is_zero_at_the_start(store_path: Path) -> None:
    changes = {"train": {"optimizer_state": "with-weights"}}
    workshop = Workshop(store_path, changes, entry="imp", rounds=3)
    run = dense(workshop)
    mask = workshop.chain.prune(run, 1).mask
    ticket = workshop.chain.ticket(
        1, mask, run.at("9it"), run.ticket.start.parse("9it"), optimizer=run.optimizer_at("9it")
    )
    training = workshop.training(workshop.chain.find(ticket, 2))
    assert training.masked is not None
    assert training.units is not None
    kept = 0
    for name, keep in training.units.expand(training.masked.mask).items():
        momentum = training.optimizer.state[training.model.get_parameter(name)]["momentum_buffer"]
        assert not bool(momentum[~keep].any())
        kept += int((momentum[keep] != 0).sum())
    assert kept > 30


def test_a_recipe_that_takes_over_a_state_keeps_its_own_options(store_path: Path) -> None:
    workshop = Workshop(store_path)
    run = dense(workshop)
    other = workshop.workbench.catalogue.use(
        {"use": "sgd", "lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}, slot="optimizer"
    )
    ticket = PlannedTicket(0, run.at("9it"), None, 66, run.ticket.start.parse("9it"), optimizer=run.optimizer_at("9it"))
    recipe = workshop.recipes.find.replace(optimizer_state="with-weights", optimizer=other)
    training = workshop.training(workshop.chain.evaluate(ticket, recipe))
    group = training.optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.05, 0.5, 0.1)
    assert any(state["momentum_buffer"].any() for state in training.optimizer.state.values())


def test_late_rewinding_shares_its_first_run_with_rewinding_to_initialisation(store_path: Path) -> None:
    entries = [
        {
            "name": "imp",
            "schedule": {"use": "rewind", "to": to},
            "score": "magnitude",
            "select": "global",
            "units": "toy-units",
        }
        for to in ("0it", "6it")
    ]
    first, late = Workshop(store_path, {"entry": entries[:1]}), Workshop(store_path, {"entry": entries[1:]})
    a, b = first.chain.tickets[1], late.chain.tickets[1]
    assert a.mask == b.mask
    first.make(*[ref for ref in (a.weights, a.mask) if ref is not None])
    steps = Steps()
    assert b.weights.part == "weights"
    kinds = late.make(*[ref for ref in (b.weights, b.mask) if ref is not None], channel=steps)
    # Only the state at 6, on the run that is there already.
    assert kinds == ["train"]
    assert steps.at == [6]


def test_the_points_of_a_stored_curve_are_json_numbers(workshop: Workshop) -> None:
    run = dense(workshop)
    curve = workshop.curve(run)
    workshop.make(curve)
    data = workshop.store.get(curve.address).files["curve.json"]
    assert json.loads(data)["points"] == workshop.points(curve)
    assert list(itertools.chain(*[[type(v) for v in p.values()] for p in workshop.points(curve)])).count(int) == 2


def test_a_lost_curve_that_ends_before_the_horizon_is_made_again(workshop: Workshop) -> None:
    run = dense(workshop)
    until = workshop.curve(run, every=4, until=12)
    workshop.make(until)
    before = digests(workshop, until)
    workshop.store.drop_payload(until.address)
    workshop.make(until)
    assert digests(workshop, until) == before


def test_a_curve_keeps_which_test_images_its_last_point_had_right(workshop: Workshop) -> None:
    run = dense(workshop)
    until, whole = workshop.curve(run, every=4, until=12), workshop.curve(run, every=4)
    workshop.make(until)
    workshop.make(whole)
    for curve in (until, whole):
        packed = np.frombuffer(workshop.store.get(curve.address).files["test.hits"], np.uint8)
        assert np.unpackbits(packed, count=24).mean() == workshop.points(curve)[-1]["test/accuracy"]
