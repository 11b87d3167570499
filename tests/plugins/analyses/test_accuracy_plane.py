from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from channel_toys import HandUnits, channel_net
from engine.toy_runs import Workshop, run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from prunebench import ContractError, PrunebenchError
from prunebench.api.data import Resident
from prunebench.api.masks import Mask, Units
from prunebench.api.tickets import Inputs, Optimum, State
from prunebench.testing import (
    AnalyseContract,
    ToyData,
    same,
    some_mask,
    state,
    task_of,
    toy_plan,
    two_layer_net,
    weight_units,
)
from prunebench_plugins.analyses import _paths
from prunebench_plugins.analyses.accuracy_plane import NAMES, AccuracyPlane, AccuracyPlaneConfig, Plane, measured

CLASSES = task_of({"use": "classification"})

LINES = [f"{one}-{other}" for one, other in combinations(NAMES, 2)]


def asking(*names: str, schedule: Any = None, **config: Any) -> dict[str, Any]:
    more = {} if schedule is None else {"schedule": schedule}
    return {"entry": [{"name": n, "analyse": [{"use": "accuracy-plane", **config}], **more} for n in names or ("imp",)]}


def moved(weights: State, seed: int, share: float = 0.3) -> dict[str, Tensor]:
    """The state with other floating-point numbers; what is positive stays so."""
    rng = np.random.default_rng(seed)
    return {
        name: v * torch.from_numpy(1 + share * rng.uniform(-1, 1, tuple(v.shape))).float()
        if v.is_floating_point()
        else v
        for name, v in weights.items()
    }


def three(model: nn.Module, units: Units, mask: Mask, round: int = 2) -> Inputs:
    first = state(model)
    return {
        "pretrained": [Optimum(first, None, round)],
        "pruned": [Optimum(moved(first, 1), mask, round)],
        "retrained": [Optimum(moved(first, 2), mask, round)],
    }


class TestAccuracyPlane(AnalyseContract):
    component = {"use": "accuracy-plane", "grid": 3, "points": 3, "split": "test"}

    def inputs(self) -> Inputs:
        units = self.units(self.model())
        return three(self.model(), units, some_mask(units, units.count // 2))


class TestAccuracyPlaneOfANormalisedNetwork(TestAccuracyPlane):
    component = {"use": "accuracy-plane", "grid": 4, "points": 3, "images": 20, "bn": "recalibrate"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestAccuracyPlaneOfAnInterpolatedNetwork(TestAccuracyPlaneOfANormalisedNetwork):
    # So far beyond the points that variances would be negative.
    component = {"use": "accuracy-plane", "grid": 5, "points": 3, "margin": 10, "bn": "interpolate"}


def plane_of(*states: dict[str, Tensor]) -> Plane:
    model = nn.ParameterDict({name: nn.Parameter(value) for name, value in states[0].items()})
    return Plane.through(dict(zip(NAMES, states, strict=True)), model, "here")


def flat(weights: dict[str, Tensor]) -> NDArray[np.float64]:
    return np.concatenate([value.double().numpy().ravel() for value in weights.values()])


def cloud(seed: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.normal(size=shape)).float() for name, shape in (("a", (3, 4)), ("b", (5,)))}


PLACES = st.floats(-50, 50)


@settings(deadline=None)
@given(st.integers(0, 10**6), PLACES, PLACES, PLACES, PLACES)
def test_distances_on_the_plane_are_distances_between_weights(
    seed: int, x: float, y: float, other_x: float, other_y: float
) -> None:
    plane = plane_of(*(cloud(3 * seed + i) for i in range(3)))
    one, other = (flat(plane.state(plane.weights(a, b))) for a, b in ((x, y), (other_x, other_y)))
    apart = np.hypot(x - other_x, y - other_y)
    assert np.linalg.norm(one - other) == pytest.approx(apart, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_the_three_points_lie_where_their_distances_say_and_are_themselves(seed: int) -> None:
    states = [cloud(3 * seed + i) for i in range(3)]
    plane = plane_of(*states)
    assert (plane.x[0], plane.y[0], plane.y[2]) == (0, 0, 0)
    for (i, j), line in zip(combinations(range(3), 2), LINES, strict=True):
        apart = float(np.linalg.norm(flat(states[i]) - flat(states[j])))
        assert plane.distances[line] == pytest.approx(apart)
        assert np.hypot(plane.x[i] - plane.x[j], plane.y[i] - plane.y[j]) == pytest.approx(apart)
    for own, weights, place in zip(states, plane.corners.values(), zip(plane.x, plane.y, strict=True), strict=True):
        corner = plane.state(weights)
        assert all(torch.equal(corner[name].float(), own[name]) for name in own)
        assert plane.weights(*place) == pytest.approx(weights, abs=1e-12)


@pytest.mark.parametrize("rest", [0.01, 1.0, 100.0])
def test_the_grid_holds_the_points_with_a_margin_and_is_never_a_strip(rest: float) -> None:
    states = [{"w": torch.tensor(w)} for w in ([0.0, 0.0], [2.0, rest], [4.0, 0.0])]
    plane = plane_of(*states)
    x, y = plane.axes(21, 0.25)
    assert len(x) == len(y) == 21
    longest = max(4.0, rest)
    for axis, places in ((x, plane.x), (y, plane.y)):
        assert axis[0] <= min(places) - 0.2499 * longest
        assert axis[-1] >= max(places) + 0.2499 * longest
    assert 0.5 < np.ptp(y) / np.ptp(x) < 2


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, 1], [1, 1], [2, 3]], r"W\* \(pretrained\) and Wp \(pruned\) are equal"),
        ([[1, 1], [2, 3], [2, 3]], r"Wp \(pruned\) and Wr \(retrained\) are equal"),
        ([[1, 1], [2, 3], [1, 1]], r"W\* \(pretrained\) and Wr \(retrained\) are equal"),
        ([[1, 1], [1, 1], [1, 1]], "are equal"),
        ([[0, 0], [1, 2], [3, 6]], "are on one line"),
        ([[0, 0], [1, 2], [3, float("nan")]], r"between W\* \(pretrained\) and Wr \(retrained\) is not finite"),
    ],
)
def test_points_that_span_no_plane_are_refused_by_name(points: list[list[float]], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        plane_of(*({"w": torch.tensor(point, dtype=torch.float32)} for point in points))


def scored(weights: dict[str, NDArray[Any]], split: str) -> tuple[float, float]:
    """Accuracy and cross-entropy of the toy network, by numpy."""
    resident = ToyData().prunebench_data()[split]
    assert isinstance(resident, Resident)
    x = (resident.images.numpy().reshape(resident.size, -1) / 255 - 0.42) / 0.3
    hidden = np.maximum(x @ weights["1.weight"].T + weights["1.bias"], 0)
    logits = hidden @ weights["3.weight"].T + weights["3.bias"]
    labels = resident.labels.numpy()
    shifted = logits - logits.max(1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    return float((logits.argmax(1) == labels).mean()), float(loss.mean())


@pytest.mark.parametrize(
    ("schedule", "split"),
    [
        ("lr-rewind", "train"),
        ("rewind", "test"),
        ("continue", "valid"),
        ({"use": "fine-tune", "over": "9it"}, "test"),
        ({"use": "one-shot", "weights": "carry"}, "train"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["use"],
)
def test_a_real_run_gives_what_its_own_three_states_give(tmp_path: Path, schedule: Any, split: str) -> None:
    change = [
        asking(schedule=schedule, split=split, points=5, grid=3, rounds=[1, 3]),
        {"cut": 0.4, "train": {"horizon": "8it"}, "measure": {"every": "8it"}, "evaluate": {"batch": 16}},
    ]
    outcome = run(tmp_path / "store", *change, rounds=3)
    assert not outcome.failed
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", *change, rounds=3)
    tickets = shop.chain.tickets
    dense = shop.chain.find(tickets[0], 1)
    for round_ in (1, 3):
        mask = tickets[round_].mask
        assert mask is not None
        source = shop.chain.phases.by_key[mask.key].spec.weights
        (before,) = (ref for ref in shop.chain.phases.by_key[mask.key].parents if ref == source)
        judged = shop.chain.evaluate(tickets[round_])
        found = [{n: v.double().numpy() for n, v in shop.weights(r).items()} for r in (dense.end, before, judged.end)]
        keep = dict(zip(("1.weight", "3.weight"), shop.mask(mask).keep, strict=True))
        for name, alive in keep.items():
            found[1][name] = found[1][name] * alive.numpy().reshape(found[1][name].shape)
            assert not found[2][name][~alive.numpy().reshape(found[2][name].shape)].any()
        for name, weights in zip(NAMES, found, strict=True):
            accuracy, loss = scored(weights, split)
            assert rows[f"accuracy-plane/accuracy/{name}", round_] == pytest.approx(accuracy, abs=1e-12)
            assert rows[f"accuracy-plane/loss/{name}", round_] == pytest.approx(loss, rel=1e-5)
        for (one, other), line in zip(combinations(found, 2), LINES, strict=True):
            apart = np.sqrt(sum(np.square(one[name] - other[name]).sum() for name in one))
            assert rows[f"accuracy-plane/distance/{line}", round_] == pytest.approx(apart)
            path = [
                scored({n: one[n] + alpha * (other[n] - one[n]) for n in one}, split) for alpha in np.linspace(0, 1, 5)
            ]
            smallest = min(accuracy for accuracy, _ in path)
            ends = (path[0][0] + path[-1][0]) / 2
            assert rows[f"accuracy-plane/smallest_accuracy/{line}", round_] == pytest.approx(smallest, abs=1e-12)
            assert rows[f"accuracy-plane/barrier/{line}", round_] == pytest.approx(ends - smallest, abs=1e-12)
            largest = max(loss for _, loss in path)
            assert rows[f"accuracy-plane/largest_loss/{line}", round_] == pytest.approx(largest, rel=1e-5)
    details = [d for d in outcome.details if d.kind == "analysis"]
    assert sorted(f.name for d in details for f in d.figures) == ["accuracy-plane-1", "accuracy-plane-3"]


def analysed(inputs: Inputs, model: nn.Module, units: Units, **config: Any) -> tuple[dict[str, float], str]:
    component = AccuracyPlane(AccuracyPlaneConfig(grid=3, points=3, **config))
    analysis = component.prunebench_analyse(inputs, model, ToyData().prunebench_data(), CLASSES, units)
    (picture,) = analysis.figures
    return {m.metric: m.value for m in analysis.measurements}, picture.svg


@pytest.mark.parametrize("bn", ["interpolate", "recalibrate"])
def test_the_pruned_point_of_channels_is_the_small_network_with_the_statistics_that_bn_says(bn: Any) -> None:
    model = channel_net()
    units = HandUnits(model)
    inputs = three(model, units, some_mask(units, 5))
    numbers, _ = analysed(inputs, channel_net(), units, bn=bn, split="train")
    ((pruned,), (retrained,)) = inputs["pruned"], inputs["retrained"]
    assert pruned.mask is not None
    other, data = channel_net(), ToyData().prunebench_data()
    config = AccuracyPlaneConfig(bn=bn)
    for name, optimum, masks in (("pruned", pruned, True), ("retrained", retrained, False)):
        other.load_state_dict(dict(optimum.weights))
        small = units.shrink(other, pruned.mask) if masks else other
        if bn == "recalibrate":
            _paths.recalibrate(small, data, CLASSES)
        own = measured(small, data, CLASSES, config)
        assert numbers[f"accuracy/{name}"] == own.accuracy
        assert numbers[f"loss/{name}"] == pytest.approx(own.loss, rel=1e-6)


def test_statistics_are_no_direction_of_the_plane() -> None:
    model = channel_net()
    units = HandUnits(model)
    inputs = dict(three(model, units, some_mask(units, 5)))
    before, _ = analysed(inputs, channel_net(), units)
    (retrained,) = inputs["retrained"]
    weights = {n: v * 7 if n.endswith("running_mean") else v for n, v in retrained.weights.items()}
    after, _ = analysed({**inputs, "retrained": [Optimum(weights, retrained.mask, 2)]}, channel_net(), units)
    assert [before[f"distance/{line}"] for line in LINES] == [after[f"distance/{line}"] for line in LINES]


def test_the_picture_names_the_points_and_their_distances() -> None:
    model = two_layer_net()
    units = weight_units(model)
    inputs = three(model, units, some_mask(units, 20))
    before = {name: dict(optimum.weights) for name, (optimum,) in inputs.items()}
    numbers, svg = analysed(inputs, two_layer_net(), units)
    for name in NAMES.values():
        assert f">{name}<" in svg
    for line in LINES:
        assert f"= {numbers[f'distance/{line}']:.4g}" in svg
    assert "train accuracy (%)" in svg
    assert all(same(before[name], optimum.weights) for name, (optimum,) in inputs.items())


def test_a_loss_that_overflows_is_left_out_and_its_place_left_blank() -> None:
    model = two_layer_net()
    units = weight_units(model)
    inputs = {
        name: [Optimum({n: v * 1e25 for n, v in optimum.weights.items()}, optimum.mask, 2)]
        for name, (optimum,) in three(model, units, some_mask(units, 20)).items()
    }
    numbers, svg = analysed(inputs, two_layer_net(), units)
    assert "loss/retrained" not in numbers
    assert "accuracy/retrained" in numbers
    assert np.isfinite(list(numbers.values())).all()
    assert "nan" not in svg


def test_the_plane_is_that_of_the_last_round_unless_rounds_are_named() -> None:
    def rounds(**config: Any) -> list[set[int]]:
        plan = toy_plan(asking(**config), rounds=3)
        analyses = [p for p in plan.phases.values() if p.kind == "analyse"]
        points = [list(p.spec.analysis.inputs.values()) for p in analyses]
        return [{point.round for (point,) in inputs} for inputs in points]

    assert rounds() == [{3}]
    assert rounds(rounds=[1, 2]) == [{1}, {2}]


def test_the_analysis_adds_no_training_where_the_rounds_are_judged() -> None:
    assert {p.key for p in toy_plan(asking(rounds=[1, 2, 3]), rounds=3).runs} == {
        p.key for p in toy_plan(rounds=3).runs
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (asking("dense"), "the entry prunes nothing"),
        (asking(schedule="at-init"), r"no find run: nothing is trained before it is pruned \(W\*\)"),
        (asking(schedule="small-network"), "no find run"),
        (asking(rounds=[1, 3]), "there is no round 3; the entry has rounds 1 to 2"),
        (
            {**asking(schedule={"use": "one-shot", "weights": "carry"}), "evaluate": {"horizon": "0it"}},
            "round 2: the judged run trains nothing, so that Wr is Wp",
        ),
        (
            {
                **asking(schedule="during-training"),
                "train": {"mask_updates": [{"use": "gradual-magnitude", "start": "1it", "end": "9it", "every": "1it"}]},
            },
            "no find run",
        ),
    ],
)
def test_an_entry_that_lacks_a_state_is_refused_while_planning(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=rf"accuracy-plane: .*{message}|accuracy-plane: {message}"):
        toy_plan(change)


@pytest.mark.parametrize(
    "config",
    [{"points": 2}, {"grid": 2}, {"margin": -0.1}, {"images": 0}, {"bn": "ignore"}, {"rounds": []}, {"rounds": [0]}],
)
def test_a_plane_without_places_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccuracyPlaneConfig(**config)
    with pytest.raises(PrunebenchError):
        toy_plan(asking(**config))
