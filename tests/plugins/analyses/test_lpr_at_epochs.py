from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Trained, Workshop, run
from torch import nn

from prunebench import PrunebenchError
from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, state, toy_plan, two_layer_net, weight_units
from prunebench_plugins.analyses.lpr_at_epochs import LprAtEpochs, LprAtEpochsConfig

AT = ["0it", "4it", "50%", "12it", "20it"]


def asking(entry: str = "imp", **config: Any) -> dict[str, Any]:
    return {"entry": [{"name": entry, "analyse": [{"use": "lpr-at-epochs", "at": AT, **config}]}]}


class TestLprAtEpochs(AnalyseContract):
    component = {"use": "lpr-at-epochs", "at": ["0it", "4it"]}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        return {"states": tuple(Optimum(t.weights, t.mask, 2, f"{4 * t.round}it") for t in tickets)}


class TestLprAtEpochsOfADensity(TestLprAtEpochs):
    component = {"use": "lpr-at-epochs", "at": ["0it", "4it"], "density": 0.5}


class TestLprAtEpochsOfADeepNetwork(TestLprAtEpochs):
    component = {"use": "lpr-at-epochs", "at": ["0it", "4it"]}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Linear(3, 3) for _ in range(20)))


def values(analysis: Analysis) -> dict[tuple[str, str], float]:
    return {(m.metric, m.position): m.value for m in analysis.measurements}


def test_ratios_are_what_is_pruned_and_the_distance_is_their_mean_absolute_difference() -> None:
    model = two_layer_net()
    units = weight_units(model)
    early = Mask((torch.arange(48) < 24, torch.arange(18) < 18))
    late = Mask((torch.arange(48) < 36, torch.arange(18) < 6))
    states = (Optimum({}, early, 3, "5it"), Optimum({}, late, 3, "10it"))
    analysis = LprAtEpochs(LprAtEpochsConfig(at=["5it"])).prunebench_analyse({"states": states}, model, units)  # type: ignore[arg-type]
    assert {m.round for m in analysis.measurements} == {3}
    assert values(analysis) == pytest.approx(
        {
            ("pruned/fc1.weight", "5it"): 0.5,
            ("pruned/fc2.weight", "5it"): 0.0,
            ("distance", "5it"): (0.25 + 2 / 3) / 2,
            ("pruned/fc1.weight", "10it"): 0.25,
            ("pruned/fc2.weight", "10it"): 2 / 3,
            ("distance", "10it"): 0.0,
        }
    )


def test_a_density_is_cut_to_by_global_magnitude() -> None:
    model = two_layer_net()
    units = weight_units(model)
    states = tuple(Optimum(state(model), None, 0, f"{i}it") for i in range(2))
    for name, tensor in states[1].weights.items():
        tensor.mul_(3.0 if name == "fc2.weight" else 1.0)
    component = LprAtEpochs(LprAtEpochsConfig(at=["0it"], density=0.25))  # type: ignore[arg-type]
    found = values(component.prunebench_analyse({"states": states}, model, units))
    for optimum in states:
        sizes = np.concatenate([np.abs(optimum.weights[layer.name].numpy()).ravel() for layer in units.layers])
        kept = np.zeros(66, bool)
        kept[np.argsort(-sizes, kind="stable")[:16]] = True
        assert found["pruned/fc1.weight", optimum.label] == pytest.approx(1 - kept[:48].mean())
        assert found["pruned/fc2.weight", optimum.label] == pytest.approx(1 - kept[48:].mean())


@pytest.mark.parametrize("config", [{}, {"density": 0.3}])
def test_asking_for_many_states_adds_no_training(config: dict[str, Any]) -> None:
    assert {p.key for p in toy_plan(asking(**config)).runs} == {p.key for p in toy_plan().runs}


def test_equal_positions_are_asked_for_once_in_the_order_of_the_run_and_the_end_is_added() -> None:
    plan = toy_plan(asking(density=0.3))
    (analysis,) = [phase for phase in plan.phases.values() if phase.kind == "analyse"]
    labels = [point.label for point in analysis.spec.analysis.inputs["states"]]
    assert labels == ["0it", "4it", "12it", "20it", "24it"]


def test_each_judged_round_is_an_analysis_of_its_own() -> None:
    assert sum(phase.kind == "analyse" for phase in toy_plan(asking(), rounds=3).phases.values()) == 3
    judged = toy_plan(asking(), rounds=3, densities=[0.64])
    assert sum(phase.kind == "analyse" for phase in judged.phases.values()) == 1


def test_the_first_round_at_the_end_of_the_run_is_the_entrys_own_pruning() -> None:
    plan = toy_plan(asking(), rounds=1)
    base = {p.key for p in toy_plan(rounds=1).phases.values() if p.kind == "prune"}
    (analysis,) = [phase for phase in plan.phases.values() if phase.kind == "analyse"]
    assert analysis.spec.analysis.inputs["states"][-1].mask.key in base


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (asking(at=["25it"]), 'position "25it" .* is outside of the run'),
        (asking("dense"), "state a `density`"),
        (asking(density=0.001), "keeps none or all of 66 units"),
        (asking(density=1.0), "less than 1"),
        (asking(at=[]), "the list is empty"),
    ],
)
def test_what_has_no_meaning_is_told_before_anything_trains(change: dict[str, Any], told: str) -> None:
    with pytest.raises(PrunebenchError, match=told):
        toy_plan(change)


def test_a_dense_entry_is_analysed_at_a_stated_density() -> None:
    kinds = [phase.kind for phase in toy_plan(asking("dense", density=0.5)).phases.values()]
    assert kinds.count("analyse") == 1


@pytest.mark.parametrize("select", ["global", "layerwise"])
def test_a_real_run_gives_the_ratios_of_its_own_states(tmp_path: Path, select: str) -> None:
    change = {"entry": [{"name": "imp", "select": select, "analyse": [{"use": "lpr-at-epochs", "at": AT}]}]}
    trained = Trained()
    outcome = run(tmp_path / "store", change, observe=trained)
    assert not outcome.failed
    assert len(trained.keys) == 3
    rows = {(r.metric, r.round, r.position): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", change)
    dense = shop.chain.find(shop.chain.dense, 1)
    layers = shop.chain.context.model.layers
    places = ["0it", "4it", "12it", "20it", "24it"]
    for round_ in (1, 2):
        ratios = {}
        for place in places:
            weights = shop.weights(dense.at(place))
            sizes = [np.abs(weights[layer.name].numpy()).ravel() for layer in layers]
            if select == "global":
                kept = np.zeros(66, bool)
                kept[np.argsort(-np.concatenate(sizes), kind="stable")[: shop.chain.counts[round_]]] = True
                ratios[place] = [1 - part.mean() for part in np.split(kept, [48])]
            else:
                ratios[place] = [1 - round(0.8**round_ * layer.count) / layer.count for layer in layers]
        for place in places:
            for layer, ratio in zip(layers, ratios[place], strict=True):
                assert rows[f"lpr-at-epochs/pruned/{layer.name}", round_, place] == pytest.approx(ratio)
            distance = np.abs(np.subtract(ratios[place], ratios["24it"])).mean()
            assert rows["lpr-at-epochs/distance", round_, place] == pytest.approx(distance)
    lines = [d for d in outcome.details if d.kind == "analysis"]
    assert [figure.name for line in lines for figure in line.figures] == ["lpr-at-epochs"] * 2
    assert all(a.key != b.key for a, b in pairwise(lines))
