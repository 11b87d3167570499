from dataclasses import replace
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
from prunebench.api.tickets import Inputs, Optimum
from prunebench.plan.trial import Plan
from prunebench.testing import AnalyseContract, ToyData, toy_plan
from prunebench_plugins.analyses.instability import InstabilityConfig


def asking(*names: str, **config: Any) -> dict[str, Any]:
    return {"entry": [{"name": name, "analyse": [{"use": "instability", **config}]} for name in names or ("imp",)]}


REINIT = {"name": "reinit", "tickets": "imp", "ticket": "reinit", "analyse": ["instability"]}


class TestInstability(AnalyseContract):
    component = {"use": "instability", "points": 5}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        other = [
            Optimum({n: v.roll(1) if v.ndim else v for n, v in t.weights.items()}, t.mask, t.round) for t in tickets
        ]
        return {"one": tickets, "other": other}


class TestInstabilityOfANormalisedNetwork(TestInstability):
    component = {"use": "instability", "points": 3, "bn": "recalibrate", "split": "valid", "images": 20}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(24, 3))


def twins(plan: Plan) -> set[str]:
    return {phase.key for phase in plan.runs if phase.spec.streams.twin == 1}


def test_each_round_costs_one_further_run_and_the_first_twin_is_the_run_that_judges() -> None:
    plain, plan = toy_plan(rounds=3), toy_plan(asking(), rounds=3)
    assert {phase.key for phase in plan.runs} - {phase.key for phase in plain.runs} == twins(plan)
    assert len(twins(plan)) == 3
    (analysis,) = [p for p in plan.phases.values() if p.kind == "analyse"]
    (trial,) = [t for t in plan.trials if t.entry == "imp"]
    inputs = analysis.spec.analysis.inputs
    assert [p.weights.key for p in inputs["one"]] == [e.run.key for e in trial.evaluations]
    assert [p.round for p in inputs["other"]] == [1, 2, 3]


def test_twins_differ_in_their_streams_alone() -> None:
    plan = toy_plan(asking(rounds=[2]))
    (key,) = twins(plan)
    spec = plan.phases[key].spec
    first = next(e.run.key for t in plan.trials for e in t.evaluations if e.round == 2)
    streams = replace(plan.phases[first].spec.streams, twin=1)
    assert replace(plan.phases[first].spec, streams=streams) == spec


def test_rounds_are_chosen_and_taken_once() -> None:
    plan = toy_plan(asking(rounds=[3, 0, 3]), rounds=4, densities=[0.64])
    (analysis,) = [p for p in plan.phases.values() if p.kind == "analyse"]
    assert [p.round for p in analysis.spec.analysis.inputs["one"]] == [0, 3]
    assert len(twins(plan)) == 2


def test_twins_of_an_edited_ticket_start_from_one_draw_of_the_edit() -> None:
    plan = toy_plan({"entry": [{**REINIT, "draws": 3}]})
    starts = {plan.phases[key].spec.weights.key for key in twins(plan)}
    assert len(starts) == 2
    firsts = [
        e.run.ticket.weights.key for t in plan.trials for e in t.evaluations if t.entry == "reinit" and e.draw == 0
    ]
    assert starts == set(firsts)


def test_a_dense_entry_has_its_one_round() -> None:
    plan = toy_plan(asking("dense"))
    assert len(twins(plan)) == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [(("imp",), "no round 5; the entry has rounds 0 to 2"), (("dense",), "no round 5; the entry has round 0 alone")],
)
def test_a_round_that_does_not_exist_is_refused(names: tuple[str], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        toy_plan(asking(*names, rounds=[0, 5]))


@pytest.mark.parametrize("config", [{"points": 2}, {"rounds": []}, {"rounds": [-1]}, {"images": 0}])
def test_what_cannot_be_measured_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InstabilityConfig(**config)


def wrong(weights: dict[str, NDArray[Any]]) -> float:
    """The test error of the toy network, by numpy."""
    test = ToyData().prunebench_data()["test"]
    assert isinstance(test, Resident)
    x = (test.images.numpy().reshape(test.size, -1) / 255 - 0.42) / 0.3
    hidden = np.maximum(x @ weights["1.weight"].T + weights["1.bias"], 0)
    return float(((hidden @ weights["3.weight"].T + weights["3.bias"]).argmax(1) != test.labels.numpy()).mean())


@pytest.mark.parametrize("edit", [False, True])
def test_a_real_run_gives_the_instability_of_its_own_twins(tmp_path: Path, edit: bool) -> None:
    entry = REINIT if edit else {"name": "imp", "analyse": ["instability"]}
    change = [{"entry": [entry]}, {"cut": 0.5, "train": {"horizon": "6it"}, "measure": {"every": "6it"}}]
    outcome = run(tmp_path / "store", *change)
    assert not outcome.failed
    rows = {(r.metric, r.round): r for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", *change)
    use = shop.workbench.catalogue.use("reinit", slot="ticket")
    seen = []
    for round_ in (1, 2):
        ticket = shop.chain.tickets[round_]
        if edit:
            ticket = shop.chain.edited(ticket, [use], 0)
        ends = [
            {
                name: value.double().numpy()
                for name, value in shop.weights(shop.chain.evaluate(ticket, twin=twin).end).items()
            }
            for twin in (0, 1)
        ]
        assert not np.array_equal(ends[0]["1.weight"], ends[1]["1.weight"])
        path = [wrong({n: (1 - a) * ends[0][n] + a * ends[1][n] for n in ends[0]}) for a in np.linspace(0, 1, 30)]
        seen.append(max(path) - (path[0] + path[-1]) / 2)
        assert rows["instability/instability", round_].value == pytest.approx(seen[-1], abs=1e-12)
        assert rows["instability/ends", round_].value == pytest.approx((path[0] + path[-1]) / 2, abs=1e-12)
        assert rows["instability/ends", round_].split == "test"
    assert max(seen) > 0
