import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Trained, Workshop, run

from prunebench import PrunebenchError
from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, ToyData, state, toy_plan, two_layer_net, weight_units
from prunebench_plugins.analyses._subsets import random_subset
from prunebench_plugins.analyses._utility import Images, Utility
from prunebench_plugins.analyses._weights import kept_weights
from prunebench_plugins.analyses.utility_ablation import UtilityAblation, UtilityAblationConfig

RATIOS = [0.1, 0.25]
STATISTICS = {"mean", "sd", "minimum", "maximum", "accuracy_mean", "accuracy_minimum", "accuracy_maximum"}


def asking(entry: str = "imp", **config: Any) -> dict[str, Any]:
    use = {"use": "utility-ablation", "ratios": RATIOS, "subsets": 5, **config}
    return {"entry": [{"name": entry, "analyse": [use]}]}


class TestUtilityAblation(AnalyseContract):
    component = {"use": "utility-ablation", "subsets": 8, "ratios": [0.05, 0.1, 0.25]}

    def inputs(self) -> Inputs:
        dense, *_, last = super().inputs()["tickets"]
        states = [Optimum(self._state(place), last.mask, 2, f"{4 * place}it") for place in range(3)]
        pretrained = Optimum(dense.weights, last.mask, 2, "24it")
        return {"states": states, "among": states, "pretrained": [pretrained]}

    def _state(self, place: int) -> dict[str, torch.Tensor]:
        return {name: value * (1 + place) for name, value in state(self.model()).items()}


class TestUtilityAblationByNumber(TestUtilityAblation):
    component = {"use": "utility-ablation", "subsets": 8, "by": "number", "ratios": [0.1, 0.2]}


class TestUtilityAblationByMagnitude(TestUtilityAblation):
    component = {"use": "utility-ablation", "by": "magnitude", "ratios": [0.1, 0.5]}


class TestApproximateUtilityAblation(TestUtilityAblation):
    component = {"use": "utility-ablation", "images": 40, "tolerance": 0.1, "subsets": 25, "ratios": [1.0]}


def analysed(inputs: Inputs, **config: Any) -> Analysis:
    model = two_layer_net().eval()
    component = UtilityAblation(UtilityAblationConfig.model_validate({"ratios": RATIOS, "subsets": 5, **config}))
    from prunebench.api.random import Rng

    data = ToyData().prunebench_data()
    return component.prunebench_analyse({"pretrained": (), **inputs}, model, data, weight_units(model), Rng("analyse"))


def values(analysis: Analysis) -> dict[str, float]:
    return {m.metric: m.value for m in analysis.measurements}


def one_state(keep: int | None = None) -> Inputs:
    model = two_layer_net()
    flat = torch.arange(66) < (66 if keep is None else keep)
    mask = None if keep is None else Mask.from_flat(flat, weight_units(model).layers)
    states = (Optimum(state(model), mask, 1, "24it"),)
    return {"states": states, "among": states}


def test_the_same_sets_are_drawn_for_equal_inputs_whatever_other_ratios_are_asked_for() -> None:
    both, alone = values(analysed(one_state())), values(analysed(one_state(), ratios=[0.25]))
    assert alone == {name: value for name, value in both.items() if not name.endswith("/0.1")}
    assert {name.partition("/")[0] for name in alone} == {*STATISTICS, "accuracy"}


def test_by_number_the_unit_is_the_full_size_network() -> None:
    # Of 66 weights 40 survive: 0.25 of the full size is 16 or 17 of them, and 0.4 of what survives.
    small = values(analysed(one_state(40), by="number", ratios=[16 / 66]))
    share = values(analysed(one_state(40), ratios=[16 / 40]))
    assert {n.removeprefix("by-number/").partition("/")[0]: v for n, v in small.items()} == {
        name.partition("/")[0]: value for name, value in share.items()
    }
    doubled = values(analysed(one_state(40), by="number", full=132, ratios=[8 / 66]))
    assert {n.rpartition("/")[0]: v for n, v in doubled.items()} == {n.rpartition("/")[0]: v for n, v in small.items()}


def test_a_set_of_all_weights_is_measured_once() -> None:
    found = values(analysed(one_state(33), by="number", ratios=[0.5]))
    assert found["by-number/sd/0.5"] == 0.0
    assert found["by-number/minimum/0.5"] == found["by-number/maximum/0.5"]


@pytest.mark.parametrize(
    "config", [{"images": 40}, {"tolerance": 1e9, "subsets": 30}, {"images": 40, "tolerance": 0.1}]
)
def test_what_is_approximate_says_so_in_every_unit_and_caption(config: dict[str, Any]) -> None:
    analysis = analysed(one_state(), **config)
    assert all(m.unit.endswith(", approximate") or m.metric.startswith("subsets/") for m in analysis.measurements)
    assert all("Approximate" in figure.caption for figure in analysis.figures)
    exact = analysed(one_state(), images=96)
    assert {m.unit for m in exact.measurements} == {"nats", "fraction"}
    assert not any("pproximate" in figure.caption for figure in exact.figures)


def test_what_a_judged_states_mask_removes_is_not_there_but_a_pretrained_network_is_whole() -> None:
    inputs = one_state(40)
    (point,) = inputs["states"]
    assert point.mask is not None
    masks = weight_units(two_layer_net()).expand(point.mask)
    zero = {name: value * masks[name] if name in masks else value for name, value in point.weights.items()}
    masked = (Optimum(zero, point.mask, 1, "24it"),)
    assert values(analysed(inputs)) == values(analysed({"states": masked, "among": masked}))
    both = values(analysed({**inputs, "pretrained": inputs["states"]}))
    whole = one_state()["states"]
    assert both["pretrained/accuracy"] == values(analysed({"states": whole, "among": whole}))["accuracy"]
    assert both["pretrained/mean/0.25"] != both["mean/0.25"]


def test_intervals_by_magnitude_cover_all_weights_and_are_named_by_what_is_smaller() -> None:
    found = values(analysed(one_state(60), by="magnitude", ratios=[0.25]))
    names = [f"by-magnitude/utility/0.25/above-{start / 60:.4f}" for start in (0, 15, 30, 45)]
    assert [name for name in found if "/utility/" in name] == names
    # Without the largest weights the answers move most.
    assert max(names, key=lambda name: found[name]) == names[-1]


def test_an_interval_of_infinite_utility_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    of = Utility.of
    # The first interval is that of the smallest weights.
    results = iter([math.inf])
    monkeypatch.setattr(Utility, "of", lambda self, chosen: (next(results, of(self, chosen)[0]), 0.5))
    found = values(analysed(one_state(60), by="magnitude", ratios=[0.25]))
    starts = [name.rpartition("-")[2] for name in found if "/utility/" in name]
    assert starts == ["0.2500", "0.5000", "0.7500"]


def test_a_set_larger_than_what_survives_is_told_also_when_masks_turn_out_smaller() -> None:
    with pytest.raises(PrunebenchError, match=r"round 1: ratio 0\.25 is 16 of 10 surviving weights"):
        analysed(one_state(10), by="number", ratios=[0.25])


def needs(change: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    phases = toy_plan(change, **more).phases.values()
    return [phase.spec.analysis.inputs for phase in phases if phase.kind == "analyse"]


def test_positions_are_measured_once_in_order_and_the_end_is_added() -> None:
    (inputs,) = needs(asking("dense", at=["12it", "4it", "50%", "24it"]))
    assert [point.label for point in inputs["states"]] == ["4it", "12it", "24it"]
    assert inputs["pretrained"] == ()


@pytest.mark.parametrize("config", [{}, {"at": ["4it"]}, {"pretrained": True}, {"above_threshold": True}])
def test_asking_for_states_adds_no_training(config: dict[str, Any]) -> None:
    assert {p.key for p in toy_plan(asking(**config)).runs} == {p.key for p in toy_plan().runs}


def test_each_judged_round_is_a_phase_of_its_own_and_the_dense_end_is_cut_by_its_mask() -> None:
    found = needs(asking(pretrained=True), densities=[0.8, 0.64])
    assert [inputs["states"][-1].round for inputs in found] == [1, 2]
    for inputs in found:
        assert inputs["pretrained"][0].mask == inputs["states"][-1].mask
    assert found[0]["pretrained"][0].weights == found[1]["pretrained"][0].weights


def test_above_the_threshold_are_the_weights_that_the_next_rounds_mask_keeps(tmp_path: Path) -> None:
    change = asking(above_threshold=True)
    (inputs,) = needs(change)
    shop = Workshop(tmp_path / "store", change)
    first, second = shop.chain.tickets[1:]
    assert first.mask is not None
    assert second.mask is not None
    assert inputs["among"][0].mask == second.mask
    assert inputs["states"][0].mask == first.mask
    shop.make(first.mask, second.mask)
    assert shop.mask(second.mask).issubset(shop.mask(first.mask))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (asking(at=["25it"]), 'position "25it" .* is outside of the run'),
        (asking(ratios=[0.0]), "greater than 0"),
        (asking(ratios=[1.5]), "less than or equal to 1"),
        (asking(ratios=[]), "the list is empty"),
        (asking(ratios=[0.001]), "ratio 0.001 is 0 of 53 surviving units"),
        (asking(by="number", ratios=[0.7]), "round 2: ratio 0.7 is 46 of 42 surviving units"),
        (asking(by="number", ratios=[0.1], full=700), "ratio 0.1 is 70 of 53 surviving units"),
        (asking(images=97), "images = 97, and there are 96 training images"),
        (asking(subsets=1), "greater than 1"),
        (asking("dense", pretrained=True), "pretrained: the entry judges no round with such a mask"),
        (asking("dense", above_threshold=True), "above_threshold: the entry judges no round with such a mask"),
        ({**asking(above_threshold=True), "densities": [0.64]}, "above_threshold: the entry judges no round"),
    ],
)
def test_what_has_no_meaning_is_told_before_anything_trains(change: dict[str, Any], told: str) -> None:
    with pytest.raises(PrunebenchError, match=told):
        toy_plan(change)


def test_a_real_run_gives_the_utilities_of_its_own_states(tmp_path: Path) -> None:
    change = asking(at=["0it", "8it"], pretrained=True)
    trained = Trained()
    outcome = run(tmp_path / "store", change, observe=trained)
    assert not outcome.failed
    assert len(trained.keys) == 3
    rows = {(r.metric, r.round, r.position): (r.value, r.split) for r in outcome.rows if r.role == "analyse"}
    places = {(round_, position) for _, round_, position in rows}
    assert places == {(round_, f"{at}it") for round_ in (1, 2) for at in (0, 8, 24)}
    shop = Workshop(tmp_path / "store", change)
    chain = shop.chain
    units = weight_units(two_layer_net())
    model = shop.workbench.architecture(chain.context.model_spec).eval()
    dense = chain.find(chain.dense, 1)
    data = ToyData().prunebench_data()
    from prunebench.api.random import Streams

    rng = Streams(0).rng("analyse").child("utility-ablation")
    for ticket in chain.tickets[1:]:
        assert ticket.mask is not None
        own = chain.evaluate(ticket)
        keep = kept_weights(units, shop.mask(ticket.mask))
        for kind, reference in (("", own.end), ("pretrained/", dense.end)):
            model.load_state_dict(shop.weights(reference))
            names = dict(zip(keep, (layer.name for layer in chain.context.model.layers), strict=True))
            utility = Utility(model, {names[name]: kept for name, kept in keep.items()}, Images(data["train"], None))
            for ratio in RATIOS:
                size = round(ratio * utility.count)
                found = [utility.of(random_subset(rng, utility.count, size, index))[0] for index in range(5)]
                value, split = rows[f"utility-ablation/{kind}mean/{ratio:g}", ticket.round, "24it"]
                assert value == pytest.approx(math.fsum(found) / 5)
                assert split == "train"
    figures = [f.name for d in outcome.details if d.kind == "analysis" for f in d.figures]
    assert figures == 2 * ["utility-over-training-by-ratio", "utility-by-ratio", "utility-histograms-by-ratio"]


def test_utility_rises_while_the_toy_network_learns(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", asking("dense", at=["0it"], subsets=50, ratios=[0.1]))
    found = {(r.metric, r.position): r.value for r in outcome.rows if r.role == "analyse"}
    for name in ("mean", "sd"):
        assert found[f"utility-ablation/{name}/0.1", "24it"] > found[f"utility-ablation/{name}/0.1", "0it"]


def test_a_network_that_answers_alike_without_a_set_has_no_utility_there() -> None:
    model = two_layer_net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    states = (Optimum(state(model), None, 0, "0it"),)
    found = values(analysed({"states": states, "among": states}))
    assert {value for name, value in found.items() if not name.startswith("accuracy")} == {0.0}
