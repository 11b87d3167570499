from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from torch import nn

from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.planning import PlannedTicket, Ref
from prunebench.api.tickets import Optimum
from prunebench.testing import AnalyseContract, weight_units
from prunebench_plugins.analyses.surviving_initial_values import SurvivingInitialValues, SurvivingInitialValuesConfig

ANALYSED = {"entry": [{"name": "imp", "analyse": ["surviving-initial-values"]}]}


class TestSurvivingInitialValues(AnalyseContract):
    component = {"use": "surviving-initial-values"}


class TestSurvivingInitialValuesOfADeepConvolutionalNetwork(AnalyseContract):
    component = {"use": "surviving-initial-values", "of": "ticket"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(2, 2, 3) for _ in range(20)))


WEIGHTS = {"0.weight": torch.tensor([[1.0, -3.0]]), "1.weight": torch.tensor([[2.0], [4.0]])}


def analysed(*masks: Mask | None) -> Analysis:
    units = weight_units(nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2)))
    tickets = tuple(Optimum(WEIGHTS, mask, round_) for round_, mask in enumerate(masks))
    return SurvivingInitialValues(SurvivingInitialValuesConfig()).prunebench_analyse({"tickets": tickets}, units)


def values(analysis: Analysis) -> dict[tuple[str, int | None], float]:
    return {(m.metric, m.round): m.value for m in analysis.measurements}


def test_moments_are_those_of_the_survivors() -> None:
    found = values(analysed(None, Mask((torch.tensor([False, True]), torch.tensor([True, True])))))
    assert found["mean", 0] == 1.0
    assert found["mean_abs", 0] == 2.5
    assert found["sd/0.weight", 0] == 2.0
    assert found["mean", 1] == 1.0
    assert found["mean_abs/0.weight", 1] == 3.0
    assert found["sd/0.weight", 1] == 0.0
    assert found["sd/1.weight", 1] == 1.0


def test_a_layer_without_survivors_has_no_moments_and_is_still_drawn() -> None:
    analysis = analysed(None, Mask((torch.tensor([False, False]), torch.tensor([True, True]))))
    assert not [place for place in values(analysis) if place[1] == 1 and place[0].endswith("/0.weight")]
    assert ">0.weight<" in analysis.figures[0].svg


def test_the_figure_names_rounds_with_their_density() -> None:
    svg = analysed(None, Mask((torch.tensor([False, True]), torch.tensor([True, True])))).figures[0].svg
    assert "round 0: density 1.000" in svg
    assert "round 1: density 0.750" in svg


@pytest.mark.parametrize(("of", "weights"), [("network", "drawn"), ("ticket", "rewound")])
def test_it_reads_the_drawn_network_or_where_each_ticket_starts(of: Any, weights: str) -> None:
    tickets = (PlannedTicket(1, Ref("rewound", "weights"), Ref("m", "mask"), 10),)
    chain = SimpleNamespace(dense=PlannedTicket(0, Ref("drawn", "weights"), None, 20))
    request: Any = SimpleNamespace(tickets=tickets, chain=chain)
    component = SurvivingInitialValues(SurvivingInitialValuesConfig(of=of))
    (asked,) = component.prunebench_needs(request).inputs["tickets"]
    assert asked == tickets[0].replace(weights=Ref(weights, "weights"))


def test_a_real_run_gives_the_numbers_of_its_own_masks(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", ANALYSED)
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", ANALYSED)
    drawn = shop.weights(shop.chain.dense.weights)
    names = [layer.name for layer in shop.chain.context.model.layers]
    for ticket in shop.chain.tickets[1:]:
        assert ticket.mask is not None
        pairs = zip(names, shop.mask(ticket.mask).keep, strict=True)
        kept = {name: drawn[name].double().numpy().ravel()[keep.numpy()] for name, keep in pairs}
        for suffix, numbers in {"": np.concatenate([*kept.values()]), **{f"/{n}": v for n, v in kept.items()}}.items():
            for metric, value in (
                ("mean", numbers.mean()),
                ("sd", numbers.std()),
                ("mean_abs", np.abs(numbers).mean()),
            ):
                found = rows[f"surviving-initial-values/{metric}{suffix}", ticket.round]
                assert found == pytest.approx(value, rel=1e-9, abs=1e-12)
    (line,) = [d for d in outcome.details if d.kind == "analysis"]
    assert [figure.name for figure in line.figures] == ["surviving-initial-values"]
