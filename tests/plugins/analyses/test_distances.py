import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from torch import nn

from prunebench import PrunebenchError
from prunebench.api.data import Gather
from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.planning import PlannedTicket, Run
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, ToyData, state, toy_plan, two_layer_net, weight_units
from prunebench.testing.contract import task_of
from prunebench_plugins.analyses._similarity import matched
from prunebench_plugins.analyses.distances import Distances, DistancesConfig, build, distances


def asking(*names: str, **config: Any) -> dict[str, Any]:
    return {"entry": [{"name": name, "analyse": [{"use": "distances", **config}]} for name in names or ("imp",)]}


REINIT = {"entry": [{"name": "reinit", "tickets": "imp", "ticket": "reinit", "analyse": ["distances"]}]}


class TestDistances(AnalyseContract):
    component = {"use": "distances"}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        optima = [
            Optimum({n: (v * (t.round + 1)).sin() for n, v in t.weights.items()}, t.mask, t.round) for t in tickets
        ]
        return {"optima": optima, "starts": [Optimum(t.weights, None, t.round) for t in tickets]}


class TestDistancesOfTwentyRounds(TestDistances):
    component = {"use": "distances", "start": "ticket"}

    def inputs(self) -> Inputs:
        start = super().inputs()["starts"][0]
        optima = [Optimum({n: (v * (r + 1)).sin() for n, v in start.weights.items()}, None, r) for r in range(20)]
        return {"optima": optima, "starts": [start] * 20}


class TestDistancesOfAConvolutionalNetwork(TestDistances):
    component = {"use": "distances"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(24, 3))


VECTORS = arrays(np.float64, 12, elements=st.floats(-10, 10))


@given(VECTORS, VECTORS)
def test_distances_are_those_of_the_arc_cosine_where_that_can_tell(u: Any, v: Any) -> None:
    found = distances(torch.from_numpy(u), torch.from_numpy(v))
    assert found["euclidean"] == pytest.approx(np.sqrt(((u - v) ** 2).sum()))
    if np.linalg.norm(u) > 1e-3 and np.linalg.norm(v) > 1e-3:
        cosine = float(np.clip(u @ v / np.linalg.norm(u) / np.linalg.norm(v), -1, 1))
        assert found["cosine"] == pytest.approx(1 - cosine, abs=1e-12)
        assert found["angle"] == pytest.approx(2 * math.acos(cosine) / math.pi, abs=1e-6)


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-5, 0.3, math.pi / 2, 3.0, math.pi])
def test_small_angles_are_told_whatever_the_lengths(angle: float) -> None:
    u = torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)
    v = 1e-3 * torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
    found = distances(u, v)
    assert found["angle"] == pytest.approx(2 * angle / math.pi, rel=1e-9)
    assert found["cosine"] == pytest.approx(2 * math.sin(angle / 2) ** 2, rel=1e-9)


def test_what_has_no_direction_has_no_angle() -> None:
    assert distances(torch.zeros(3).double(), torch.ones(3).double()) == {"euclidean": pytest.approx(math.sqrt(3))}
    assert distances(torch.zeros(0).double(), torch.zeros(0).double()) == {"euclidean": 0.0}


def analysed(optima: list[Optimum], starts: list[Optimum]) -> Analysis:
    units = weight_units(nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2)))
    return Distances(DistancesConfig()).prunebench_analyse({"optima": optima, "starts": starts}, units)


def values(analysis: Analysis) -> dict[tuple[str, int | None], float]:
    return {(m.metric, m.round): m.value for m in analysis.measurements}


def weights(*numbers: float) -> dict[str, torch.Tensor]:
    a, b, c, d = numbers
    return {
        "0.weight": torch.tensor([[a, b]]),
        "0.bias": torch.tensor([9.0]),
        "1.weight": torch.tensor([[c], [d]]),
        "1.bias": torch.zeros(2),
    }


def keeping(*kept: int) -> Mask:
    return Mask((torch.tensor(kept[:2]).bool(), torch.tensor(kept[2:]).bool()))


def test_only_weights_that_both_masks_keep_are_compared() -> None:
    # The masks are not nested: the shared weights are the first and the last.
    one, other = (
        Optimum(weights(1, 5, 0, 1), keeping(1, 1, 0, 1), 1),
        Optimum(weights(1, 0, 7, -1), keeping(1, 0, 1, 1), 3),
    )
    start = Optimum(weights(2, 0, 0, 0), None, 0)
    found = values(analysed([one, other], [start, start]))
    assert found["angle/3-1", 3] == pytest.approx(1.0)
    assert found["cosine/3-1", 3] == pytest.approx(1.0)
    assert found["euclidean/3-1", 3] == pytest.approx(2.0)
    assert found["shared/3-1", 3] == 2
    assert found["angle/r-2", 3] == found["angle/3-1", 3]
    assert ("angle/r-1", 3) not in found
    assert found["euclidean/init", 1] == pytest.approx(math.sqrt(1 + 25 + 1))
    assert found["cosine/init", 1] == pytest.approx(1 - 1 / math.sqrt(27))


def test_optima_without_shared_weights_have_no_angle_and_are_still_drawn() -> None:
    optima = [
        Optimum(weights(1, 5, 0, 0), keeping(1, 1, 0, 0), 1),
        Optimum(weights(0, 0, 7, 1), keeping(0, 0, 1, 1), 2),
    ]
    analysis = analysed(optima, [Optimum(weights(1, 1, 1, 1), None, 0)] * 2)
    found = values(analysis)
    assert ("angle/2-1", 2) not in found
    assert found["shared/2-1", 2] == 0
    assert ("angle/init", 2) in found
    assert [f.name for f in analysis.figures] == [
        "distances-angle",
        "distances-cosine",
        "distances-euclidean",
        "distances-over-rounds",
    ]


def test_the_last_row_of_a_heat_map_is_the_initialisation() -> None:
    inputs = TestDistances().inputs()
    units = weight_units(two_layer_net())
    figure = Distances(DistancesConfig()).prunebench_analyse(inputs, units).figures[0]
    assert figure.svg.count(">init<") == 2


def test_neither_kind_of_run_is_more_to_train() -> None:
    plain = {phase.key for phase in toy_plan(rounds=3).runs}
    for config in ({}, {"runs": "find"}, {"start": "ticket"}):
        assert {phase.key for phase in toy_plan(asking(**config), rounds=3).runs} == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (asking("dense"), "distances: .* the entry has 1: it judges no pruned ticket"),
        (asking("dense", runs="find"), "distances: .* the entry has 0: its schedule has 0 find runs"),
        (
            {"entry": [{"name": "imp", "schedule": "one-shot", "analyse": [{"use": "distances", "runs": "find"}]}]},
            "1 find",
        ),
    ],
)
def test_an_entry_with_fewer_than_two_optima_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        toy_plan(change)


def test_the_start_of_find_runs_is_not_offered() -> None:
    with pytest.raises(ValidationError, match='start = "ticket" is for runs = "judged"'):
        DistancesConfig(runs="find", start="ticket")


def test_only_what_is_judged_is_compared() -> None:
    plan = toy_plan(asking(), rounds=4, densities=[0.64, 0.41])
    (phase,) = [p for p in plan.phases.values() if p.kind == "analyse"]
    assert [p.round for p in phase.spec.analysis.inputs["optima"]] == [0, 2, 4]


def angle(shop: Workshop, first: tuple[Any, Any], second: tuple[Any, Any]) -> float:
    """Between two (weights, mask), by numpy and the arc cosine."""
    flat, keep = [], np.ones(66, bool)
    for weights_, mask in (first, second):
        state_ = shop.weights(weights_)
        flat.append(np.concatenate([state_[n].double().numpy().ravel() for n in ("1.weight", "3.weight")]))
        if mask is not None:
            keep &= shop.mask(mask).flat().numpy()
    u, v = (vector[keep] for vector in flat)
    return float(2 / np.pi * np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))


@pytest.mark.parametrize("runs", ["judged", "find"])
def test_a_real_run_gives_the_angles_of_its_own_states(tmp_path: Path, runs: str) -> None:
    # Finding and judging differ, so that the two kinds of runs do.
    change = [asking(runs=runs), {"evaluate": {"stop": "20it"}}]
    outcome = run(tmp_path / "store", *change, rounds=3)
    assert not outcome.failed
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", *change, rounds=3)
    recipe = shop.recipes.find if runs == "find" else shop.recipes.evaluate
    rounds = [0, 1, 2] if runs == "find" else [0, 1, 2, 3]
    ends: dict[int, Run] = {r: shop.chain.evaluate(shop.chain.tickets[r], recipe) for r in rounds}
    places = {r: (one.end, one.ticket.mask) for r, one in ends.items()}
    for r in rounds:
        init = (shop.chain.dense.weights, None)
        assert rows["distances/angle/init", r] == pytest.approx(angle(shop, places[r], init), abs=1e-7)
        for lag in range(1, r + 1):
            expected = angle(shop, places[r], places[r - lag])
            assert rows[f"distances/angle/{r}-{r - lag}", r] == pytest.approx(expected, abs=1e-7)
            if lag < 3:
                assert rows[f"distances/angle/r-{lag}", r] == pytest.approx(expected, abs=1e-7)
    assert {r for metric, r in rows if metric == "distances/angle/init"} == set(rounds)


def edited(shop: Workshop, round_: int) -> PlannedTicket:
    """The reinitialised ticket of a round, draw 0."""
    use = shop.workbench.catalogue.use("reinit", slot="ticket")
    ticket: PlannedTicket = shop.chain.edited(shop.chain.tickets[round_], [use], 0)
    return ticket


@pytest.mark.parametrize("start", ["network", "ticket"])
def test_edited_tickets_are_compared_with_where_they_started_or_with_the_drawn_network(
    tmp_path: Path, start: str
) -> None:
    reinit = {"name": "reinit", "tickets": "imp", "ticket": "reinit", "analyse": [{"use": "distances", "start": start}]}
    outcome = run(tmp_path / "store", {"entry": [reinit]})
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store")
    for round_ in (1, 2):
        ticket = edited(shop, round_)
        one = shop.chain.evaluate(ticket)
        origin = ticket.weights if start == "ticket" else shop.chain.dense.weights
        expected = angle(shop, (one.end, ticket.mask), (origin, None))
        assert rows["distances/angle/init", round_] == pytest.approx(expected, abs=1e-7)


def test_the_states_are_not_changed() -> None:
    inputs = TestDistances().inputs()
    before = [state(two_layer_net()), *({n: v.clone() for n, v in o.weights.items()} for o in inputs["optima"])]
    Distances(DistancesConfig()).prunebench_analyse(inputs, weight_units(two_layer_net()))
    for old, optimum in zip(before[1:], inputs["optima"], strict=True):
        assert all(torch.equal(old[n], optimum.weights[n]) for n in old)


# What else is compared.

ALSO = ("layers", "units", "activations", "predictions")


class TestDistancesWithAllElse(TestDistances):
    component = {"use": "distances", "also": list(ALSO), "images": 20}


class TestDistancesOfAConvolutionalNetworkWithAllElse(TestDistancesOfAConvolutionalNetwork):
    component = {"use": "distances", "also": list(ALSO)}


def compared(optima: list[Optimum], *also: str, images: int = 1_000) -> dict[tuple[str, int | None], float]:
    config = DistancesConfig.model_validate({"also": also, "images": images})
    built: Any = build(config)
    given: dict[str, Any] = {"inputs": {"optima": optima, "starts": optima}, "units": weight_units(two_layer_net())}
    if {"units", "activations", "predictions"} & set(also):
        given |= {
            "model": two_layer_net(),
            "data": ToyData().prunebench_data(),
            "task": task_of({"use": "classification"}),
        }
    return values(built.prunebench_analyse(**given))


def toy_optima(*changes: dict[str, torch.Tensor]) -> list[Optimum]:
    return [Optimum({**state(two_layer_net()), **change}, None, r) for r, change in enumerate(changes)]


def test_the_distance_of_a_layer_is_of_its_shared_weights_alone() -> None:
    first = {"fc1.weight": torch.ones(6, 8), "fc2.weight": torch.ones(3, 6)}
    second = {"fc1.weight": torch.ones(6, 8), "fc2.weight": -2 * torch.ones(3, 6)}
    optima = toy_optima(first, second)
    mask = Mask((torch.ones(48).bool(), torch.arange(18) < 6))
    found = compared([optima[0], Optimum(optima[1].weights, mask, 1)], "layers")
    assert found["angle/fc1/r-1", 1] == pytest.approx(0, abs=1e-9)
    assert found["cosine/fc2/r-1", 1] == pytest.approx(2)
    assert found["euclidean/fc2/r-1", 1] == pytest.approx(3 * math.sqrt(6))
    # One layer counts with another: 48 ones that agree against 6 weights of length 2 that are opposed.
    assert found["cosine/r-1", 1] == pytest.approx(1 - (48 - 12) / math.sqrt(54 * (48 + 24)))


def test_units_are_matched_whatever_their_order() -> None:
    """A network whose hidden units change places is the same network, though its weights point elsewhere."""
    here, order = state(two_layer_net()), torch.tensor([2, 0, 1, 5, 3, 4])
    moved = {
        "fc1.weight": here["fc1.weight"][order],
        "fc1.bias": here["fc1.bias"][order],
        "fc2.weight": here["fc2.weight"][:, order],
    }
    found = compared(toy_optima({}, moved), *ALSO)
    assert found["correlation/fc1/r-1", 1] == pytest.approx(1)
    assert found["correlation/r-1", 1] == found["correlation/fc1/r-1", 1]
    assert found["matched/r-1", 1] == 6
    assert found["itself/fc1/r-1", 1] == 0
    assert found["agreement/r-1", 1] == 1
    assert found["shared-errors/r-1", 1] == 1
    assert found["angle/fc1/r-1", 1] > 0.3
    assert not any("fc2" in metric for metric, _ in found if "correlation" in metric)


def test_correlations_are_those_of_every_pairing_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(5, 40, generator=generator) for _ in range(2))
    other[1] = one[3] + 0.1 * other[1]
    correlations = np.corrcoef(one.numpy(), other.numpy())[:5, 5:]
    best = max(itertools.permutations(range(5)), key=lambda order: sum(correlations[i, j] for i, j in enumerate(order)))
    found = matched(one, other)
    assert found.correlations == pytest.approx([correlations[i, j] for i, j in enumerate(best)], abs=1e-6)
    assert found.itself == sum(i == j for i, j in enumerate(best))


def test_units_that_never_change_are_in_no_pair() -> None:
    one = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    one[2] = 5.3
    found = matched(one, one)
    assert found.correlations == pytest.approx([1, 1, 1])
    assert found.itself == 3
    assert matched(one[2:3], one).correlations == []


def test_the_distance_of_activations_is_of_what_layers_give_for_the_images() -> None:
    here = state(two_layer_net())
    there = {name: weight + 0.3 * weight.flip(0) for name, weight in here.items()}
    mask = Mask((torch.arange(48) % 3 > 0, torch.ones(18).bool()))
    optima = toy_optima({}, there)
    found = compared([optima[0], Optimum(optima[1].weights, mask, 1)], "activations")
    (batch,) = ToyData().prunebench_data()["test"].batches([Gather(torch.arange(24))])
    x = batch[0].double().flatten(1)
    networks = [{n: w.double() for n, w in weights.items()} for weights in (here, there)]
    hidden = [(x @ one["fc1.weight"].T + one["fc1.bias"]).relu() for one in networks]
    for layer, inputs in (("fc1", [x, x]), ("fc2", hidden)):
        u, v = (one[f"{layer}.weight"].clone() for one in networks)
        if layer == "fc1":
            u[~mask.keep[0].view(6, 8)] = v[~mask.keep[0].view(6, 8)] = 0
        given = [[taken @ w.T - (taken @ w.T).mean(0) for taken in inputs] for w in (u, v)]
        products = [[sum((a * b).sum() for a, b in zip(p, q, strict=True)) for p in given] for q in given]
        cosine = float(products[0][1]) / math.sqrt(float(products[0][0]) * float(products[1][1]))
        assert found[f"activations/{layer}/r-1", 1] == pytest.approx(1 - cosine, abs=1e-6)


def test_a_layer_that_gives_the_same_for_all_images_has_no_distance_of_activations() -> None:
    found = compared(toy_optima({}, {"fc1.weight": torch.zeros(6, 8)}), "activations")
    # The next layer is compared by what the other network gives it to read.
    assert [metric for metric, _ in found if "activations" in metric] == ["activations/fc2/r-1"]


def test_predictions_are_counted_over_the_images() -> None:
    biased = {"fc2.weight": torch.zeros(3, 6), "fc2.bias": torch.tensor([1.0, 0.0, 0.0])}
    other = {"fc2.weight": torch.zeros(3, 6), "fc2.bias": torch.tensor([0.0, 1.0, 0.0])}
    found = compared(toy_optima(biased, other, biased), "predictions")
    # Each has one of three classes right; the third is wrong in both.
    assert found["agreement/r-1", 1] == 0
    assert found["agreement/r-2", 2] == 1
    assert found["shared-errors/r-1", 1] == pytest.approx(1 / 3)
    assert not any("correlation" in metric for metric, _ in found)


def test_what_else_is_compared_is_in_no_key_where_it_is_not_asked_for(tmp_path: Path) -> None:
    def config(**fields: Any) -> Any:
        (phase,) = [p for p in toy_plan(asking(**fields)).phases.values() if p.kind == "analyse"]
        return phase.spec.analysis.config

    assert config() == {"runs": "judged", "start": "network"}
    assert config(also=["layers"])["also"] == ["layers"]
    outcome = run(tmp_path, asking(also=list(ALSO)), rounds=2)
    found = {row.metric for row in outcome.rows if row.role == "analyse"}
    assert {
        f"distances/{name}" for name in ("angle/3/r-1", "correlation/r-2", "activations/3/r-2", "agreement/r-1")
    } <= found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"also": ["layers", "layers"]}, "named twice"),
        ({"also": ["layers"], "images": 5}, "look at images"),
        ({"split": "valid"}, "look at images"),
    ],
)
def test_settings_that_mean_nothing_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DistancesConfig.model_validate(fields)
