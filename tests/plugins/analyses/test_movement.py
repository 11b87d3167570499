from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Trained, Workshop, run
from torch import Tensor, nn

from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.planning import Ref
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, some_mask, state, toy_plan, weight_units
from prunebench_plugins.analyses.movement import Movement, MovementConfig

ANALYSED = {"entry": [{"name": "imp", "analyse": ["movement"]}]}


class TestMovement(AnalyseContract):
    component = {"use": "movement"}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"]
        start = state(self.model())
        end = {name: value.sin() * 2 for name, value in start.items()}
        return {
            "tickets": tickets,
            "dense": (Optimum(start, None, 0, "start"), Optimum(end, None, 0, "end")),
            "judged_start": tickets[1:],
            "judged_end": tuple(Optimum(end, ticket.mask, ticket.round) for ticket in tickets[1:]),
        }


class TestMovementOfADeepConvolutionalNetwork(TestMovement):
    component = {"use": "movement"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(2, 2, 3) for _ in range(20)))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))


def weights(first: list[list[float]], second: list[list[float]]) -> dict[str, Tensor]:
    return {"0.weight": torch.tensor(first), "1.weight": torch.tensor(second)}


def analysed(inputs: dict[str, Any]) -> Analysis:
    return Movement(MovementConfig()).prunebench_analyse(
        {"judged_start": (), "judged_end": (), "tickets": (), **inputs}, weight_units(net())
    )


def values(analysis: Analysis) -> dict[tuple[str, int | None], float]:
    return {(m.metric, m.round): m.value for m in analysis.measurements}


START = weights([[1.0, -1.0], [2.0, 0.5]], [[1.0, 1.0]])
END = weights([[1.5, -3.0], [1.0, -0.5]], [[1.0, 4.0]])
KEEP = Mask((torch.tensor([True, True, False, False]), torch.tensor([False, True])))
DENSE = {"dense": (Optimum(START, None, 0), Optimum(END, None, 0))}


def test_movement_is_told_by_group_kind_and_layer() -> None:
    found = values(analysed({**DENSE, "tickets": (Optimum(START, KEEP, 3),)}))
    assert found == pytest.approx(
        {
            ("kept/absolute", 3): (0.5 + 2 + 3) / 3,
            ("kept/absolute/0.weight", 3): 1.25,
            ("kept/absolute/1.weight", 3): 3.0,
            ("kept/outward", 3): (0.5 + 2 + 3) / 3,
            ("kept/outward/0.weight", 3): 1.25,
            ("kept/outward/1.weight", 3): 3.0,
            ("pruned/absolute", 3): (1 + 1 + 0) / 3,
            ("pruned/absolute/0.weight", 3): 1.0,
            ("pruned/absolute/1.weight", 3): 0.0,
            # From 2 to 1, and through zero to where it had been on the other side.
            ("pruned/outward", 3): -1 / 3,
            ("pruned/outward/0.weight", 3): -0.5,
            ("pruned/outward/1.weight", 3): 0.0,
            ("ratio", 3): 5.5 / 2,
        }
    )


def test_what_nothing_belongs_to_has_no_mean() -> None:
    found = values(analysed({**DENSE, "tickets": (Optimum(START, None, 0),)}))
    assert {metric.split("/")[0] for metric, _ in found} == {"kept"}
    lost = Mask((torch.ones(4, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)))
    found = values(analysed({**DENSE, "tickets": (Optimum(START, lost, 1),)}))
    assert ("kept/absolute/1.weight", 1) not in found
    assert ("pruned/absolute/0.weight", 1) not in found
    assert found["pruned/absolute", 1] == pytest.approx(1.5)


def test_of_a_judged_ticket_only_what_it_keeps_is_measured() -> None:
    # What the mask removes is not part of either state, whatever is stored of it.
    ticket = Optimum(START, KEEP, 2)
    found = values(analysed({**DENSE, "judged_start": (ticket,), "judged_end": (Optimum(END, KEEP, 2),)}))
    assert found["judged/absolute", 2] == pytest.approx(5.5 / 3)
    assert ("judged/outward/0.weight", 2) in found


def test_a_regrown_weight_starts_from_zero() -> None:
    regrown = Mask((torch.tensor([True, False, True, False]), torch.tensor([False, True])))
    found = values(
        analysed({**DENSE, "judged_start": (Optimum(START, KEEP, 1),), "judged_end": (Optimum(END, regrown, 1),)})
    )
    assert found["judged/absolute/0.weight", 1] == pytest.approx((0.5 + 1.0) / 2)


def test_weights_that_do_not_move_are_drawn() -> None:
    still = {"dense": (Optimum(START, None, 0), Optimum(START, None, 0))}
    analysis = analysed({**still, "tickets": (Optimum(START, KEEP, 1),)})
    assert ("ratio", 1) not in values(analysis)
    assert [figure.name for figure in analysis.figures] == ["movement", "movement-distributions"]


def test_an_entry_that_prunes_nothing_has_no_distributions_to_compare() -> None:
    assert [f.name for f in analysed({**DENSE, "tickets": (Optimum(START, None, 0),)}).figures] == ["movement"]


def test_the_layers_that_are_not_shown_are_told() -> None:
    contract = TestMovementOfADeepConvolutionalNetwork()
    captions = {figure.name: figure.caption for figure in contract.analysed(contract.inputs()).figures}
    assert captions["movement-distributions"].endswith("4 of 20 layers are shown.")


def test_the_analysis_adds_no_training_to_an_entry_that_finds_in_a_dense_run() -> None:
    assert {run.key for run in toy_plan(ANALYSED).runs} == {run.key for run in toy_plan().runs}


def test_the_dense_run_is_no_optimum_of_a_chain_that_never_found_it() -> None:
    at_init = {"entry": [{"name": "imp", "schedule": "at-init"}]}
    plain, more = toy_plan(at_init), toy_plan(at_init, ANALYSED)
    assert [e.run.key for t in more.trials for e in t.evaluations] == [
        e.run.key for t in plain.trials for e in t.evaluations
    ]


def test_a_real_run_gives_the_numbers_of_its_own_states(tmp_path: Path) -> None:
    trained = Trained()
    outcome = run(tmp_path / "store", ANALYSED, observe=trained)
    assert not outcome.failed
    rows = {(r.metric, r.round): r for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", ANALYSED)
    dense = shop.chain.find(shop.chain.dense, 1)
    for round_ in (1, 2):
        ticket = shop.chain.tickets[round_]
        judged = shop.chain.evaluate(ticket)
        assert ticket.mask is not None
        keep = shop.mask(ticket.mask).flat().numpy()
        start, end, own = (flat(shop, ref) for ref in (ticket.weights, dense.end, judged.end))
        expected = {
            "kept/absolute": np.abs(end - start)[keep].mean(),
            "pruned/absolute": np.abs(end - start)[~keep].mean(),
            "kept/outward": (np.abs(end) - np.abs(start))[keep].mean(),
            "pruned/outward": (np.abs(end) - np.abs(start))[~keep].mean(),
            "judged/absolute": np.abs(own - start)[keep].mean(),
            "judged/outward": (np.abs(own) - np.abs(start))[keep].mean(),
        }
        for metric, value in expected.items():
            row = rows[f"movement/{metric}", round_]
            assert row.value == pytest.approx(value, rel=1e-12)
            assert row.density == pytest.approx(keep.mean())
    (line,) = [d for d in outcome.details if d.kind == "analysis"]
    assert [figure.name for figure in line.figures] == ["movement", "movement-distributions"]


def flat(shop: Workshop, ref: Ref) -> Any:
    weights = shop.weights(ref)
    return np.concatenate([weights[layer.name].double().numpy().ravel() for layer in shop.chain.context.model.layers])


def test_masks_that_keep_more_of_what_moved_have_a_larger_ratio() -> None:
    model = net()
    units = weight_units(model)
    moved = {name: value + torch.arange(value.numel()).reshape(value.shape) for name, value in START.items()}
    dense = (Optimum(START, None, 0), Optimum(moved, None, 0))
    order = torch.tensor([0, 1, 2, 3, 0, 1])
    by_movement = Mask.from_flat(order >= 2, units.layers)
    other = some_mask(units, by_movement.count)
    found = values(analysed({"dense": dense, "tickets": (Optimum(START, by_movement, 1), Optimum(START, other, 2))}))
    assert found["ratio", 1] >= found["ratio", 2]
