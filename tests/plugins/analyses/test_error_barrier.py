from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from prunebench import PrunebenchError
from prunebench.api.data import Resident
from prunebench.api.tickets import Inputs, Optimum, State
from prunebench.testing import (
    AnalyseContract,
    ToyData,
    some_mask,
    state,
    task_of,
    toy_plan,
    two_layer_net,
    weight_units,
)
from prunebench_plugins.analyses._weights import restricted
from prunebench_plugins.analyses.error_barrier import ErrorBarrier, ErrorBarrierConfig

CLASSES = task_of({"use": "classification"})


def asking(*names: str, **config: Any) -> dict[str, Any]:
    return {"entry": [{"name": name, "analyse": [{"use": "error-barrier", **config}]} for name in names or ("imp",)]}


class TestErrorBarrier(AnalyseContract):
    component = {"use": "error-barrier", "points": 5}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        return {
            "optima": [
                Optimum(
                    {n: v * (1 - t.round) if v.is_floating_point() else v for n, v in t.weights.items()},
                    t.mask,
                    t.round,
                )
                for t in tickets
            ]
        }


class TestErrorBarrierOfANormalisedNetwork(TestErrorBarrier):
    component = {
        "use": "error-barrier",
        "points": 3,
        "bn": "recalibrate",
        "mask": "later",
        "split": "train",
        "images": 20,
    }

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(24, 3))

    def inputs(self) -> Inputs:
        # The running variance of a network must stay positive.
        return {"optima": [Optimum(o.weights, o.mask, o.round) for o in AnalyseContract.inputs(self)["tickets"]]}


def wrong(weights: dict[str, NDArray[Any]], split: str) -> float:
    """The error of the toy network, by numpy."""
    resident = ToyData().prunebench_data()[split]
    assert isinstance(resident, Resident)
    x = (resident.images.numpy().reshape(resident.size, -1) / 255 - 0.42) / 0.3
    hidden = np.maximum(x @ weights["1.weight"].T + weights["1.bias"], 0)
    logits = hidden @ weights["3.weight"].T + weights["3.bias"]
    return float((logits.argmax(1) != resident.labels.numpy()).mean())


def errors(first: State, second: State, points: int, split: str) -> list[float]:
    """Along the line between two states of the toy network."""
    ends = [{name: value.double().numpy() for name, value in end.items()} for end in (first, second)]
    return [
        wrong({name: ends[0][name] + alpha * (ends[1][name] - ends[0][name]) for name in ends[0]}, split)
        for alpha in np.linspace(0, 1, points)
    ]


@pytest.mark.parametrize("mask", ["own", "later"])
@pytest.mark.parametrize("split", ["test", "train"])
def test_a_real_run_gives_the_barriers_between_its_own_optima(tmp_path: Path, mask: str, split: str) -> None:
    # A few steps with few weights make barriers that are there to be measured.
    change = [
        asking(mask=mask, split=split, points=11),
        {"cut": 0.5, "train": {"horizon": "6it"}, "measure": {"every": "6it"}},
    ]
    outcome = run(tmp_path / "store", *change, rounds=3)
    assert not outcome.failed
    rows = {(r.metric, r.round): r for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", *change, rounds=3)
    barriers = []
    for round_ in (1, 2, 3):
        earlier, later = (shop.weights(shop.chain.evaluate(shop.chain.tickets[r]).end) for r in (round_ - 1, round_))
        if mask == "later":
            ref = shop.chain.tickets[round_].mask
            assert ref is not None
            first, second = shop.mask(ref).keep
            for name, keep in (("1.weight", first), ("3.weight", second)):
                earlier[name] = earlier[name] * keep.reshape(earlier[name].shape)
        path = errors(earlier, later, 11, split)
        barriers.append(max(path) - (path[0] + path[-1]) / 2)
        assert rows["error-barrier/barrier", round_].value == pytest.approx(barriers[-1], abs=1e-12)
        assert rows["error-barrier/ends", round_].value == pytest.approx((path[0] + path[-1]) / 2, abs=1e-12)
        assert rows["error-barrier/barrier", round_].split == split
    assert max(barriers) > 0
    (line,) = [d for d in outcome.details if d.kind == "analysis"]
    assert [figure.name for figure in line.figures] == ["error-barrier"]


def test_a_state_keeps_what_the_later_mask_keeps_and_all_that_is_not_pruned() -> None:
    model = two_layer_net()
    units = weight_units(model)
    before = state(model)
    mask = some_mask(units, 20)
    after = restricted(before, mask, units)
    assert sum(int((after[name] != 0).sum()) for name in ("fc1.weight", "fc2.weight")) == 20
    assert torch.equal(after["fc1.bias"], before["fc1.bias"])
    assert torch.equal(before["fc1.weight"], model.state_dict()["fc1.weight"])


def test_two_equal_optima_have_no_barrier() -> None:
    weights = state(two_layer_net())
    component = ErrorBarrier(ErrorBarrierConfig())
    units = weight_units(two_layer_net())
    inputs = {"optima": [Optimum(weights, None, round_) for round_ in (0, 2)]}
    analysis = component.prunebench_analyse(inputs, two_layer_net(), ToyData().prunebench_data(), CLASSES, units)
    found = {(m.metric, m.round): m.value for m in analysis.measurements}
    assert found["barrier", 2] == 0.0
    assert "round 0 to 2" in analysis.figures[0].svg


def test_a_mirrored_network_is_behind_a_barrier() -> None:
    # Hidden neurons in another order compute the same; half-way they do not.
    one = state(two_layer_net())
    trained = {name: value * 3 for name, value in one.items()}
    order = torch.tensor([3, 4, 5, 0, 1, 2])
    other = {
        "fc1.weight": trained["fc1.weight"][order],
        "fc1.bias": trained["fc1.bias"][order],
        "fc2.weight": trained["fc2.weight"][:, order],
        "fc2.bias": trained["fc2.bias"],
    }
    component = ErrorBarrier(ErrorBarrierConfig(split="train"))
    inputs = {"optima": [Optimum(trained, None, 0), Optimum(other, None, 1)]}
    model, data = two_layer_net(), ToyData().prunebench_data()
    analysis = component.prunebench_analyse(inputs, model, data, CLASSES, weight_units(model))
    found = {m.metric: m.value for m in analysis.measurements}
    fine = {name.replace("fc1", "1").replace("fc2", "3"): value for name, value in trained.items()}
    far = {name.replace("fc1", "1").replace("fc2", "3"): value for name, value in other.items()}
    path = errors(fine, far, 20, "train")
    assert path[0] == path[-1] == pytest.approx(found["ends"])
    assert found["barrier"] == pytest.approx(max(path) - path[0], abs=1e-12)


def test_the_analysis_adds_no_training_where_the_recipes_are_equal() -> None:
    assert {p.key for p in toy_plan(asking(), rounds=3).runs} == {p.key for p in toy_plan(rounds=3).runs}


def test_edited_tickets_have_barriers_between_their_own_optima() -> None:
    reinit = {"name": "reinit", "tickets": "imp", "ticket": "reinit", "analyse": ["error-barrier"]}
    plan = toy_plan({"entry": [reinit]})
    (phase,) = [p for p in plan.phases.values() if p.kind == "analyse"]
    (trial,) = [t for t in plan.trials if t.entry == "reinit"]
    keys = [point.weights.key for point in phase.spec.analysis.inputs["optima"]]
    assert keys[1:] == [evaluation.run.key for evaluation in trial.evaluations]


def test_an_entry_with_one_optimum_is_refused() -> None:
    with pytest.raises(PrunebenchError, match=r"error-barrier: .* the entry has 1"):
        toy_plan(asking("dense"))


@pytest.mark.parametrize("config", [{"points": 2}, {"images": 0}, {"bn": "ignore"}, {"split": "all"}])
def test_a_path_without_a_middle_and_a_sample_without_images_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ErrorBarrierConfig(**config)
    with pytest.raises(PrunebenchError):
        toy_plan(asking(**config))
