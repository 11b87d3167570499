from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.toy_runs import Workshop, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.api.masks import Mask
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Optimum
from prunebench.testing import AnalyseContract, some_mask, weight_units
from prunebench_plugins.analyses._rounds import DrawnRoundsConfig
from prunebench_plugins.analyses.connectivity import Connectivity, counts

ANALYSED = {"entry": [{"name": "imp", "analyse": ["connectivity"]}]}


class TestConnectivity(AnalyseContract):
    component = {"use": "connectivity"}


class TestConnectivityOfADeepConvolutionalNetwork(AnalyseContract):
    component = {"use": "connectivity"}

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(4, 4, 3, groups=2) for _ in range(20)))


def analysed(model: nn.Module, *masks: Mask | None) -> Analysis:
    tickets = tuple(Optimum({}, mask, round_) for round_, mask in enumerate(masks))
    return Connectivity(DrawnRoundsConfig()).prunebench_analyse({"tickets": tickets}, model, weight_units(model))


def values(analysis: Analysis) -> dict[tuple[str, int | None], float]:
    return {(m.metric, m.round): m.value for m in analysis.measurements}


def test_connections_are_counted_per_neuron_on_both_sides() -> None:
    keep = torch.tensor([[True, True, False], [False, False, False]])
    found = values(analysed(nn.Sequential(nn.Linear(3, 2)), None, Mask((keep.flatten(),))))
    assert found["incoming/mean/0.weight", 0] == 3
    assert found["outgoing/mean/0.weight", 0] == 2
    assert found["incoming/none/0.weight", 0] == 0
    assert found["incoming/mean/0.weight", 1] == 1
    assert found["incoming/sd/0.weight", 1] == 1
    assert found["incoming/none/0.weight", 1] == 0.5
    assert found["outgoing/mean/0.weight", 1] == pytest.approx(2 / 3)
    assert found["outgoing/sd/0.weight", 1] == pytest.approx(np.std([1, 1, 0]))
    assert found["outgoing/none/0.weight", 1] == pytest.approx(1 / 3)
    assert found["incoming/spread/0.weight", 0] == 0
    assert found["outgoing/spread/0.weight", 1] == pytest.approx(np.std([1, 1, 0]) / (2 / 3))


def test_a_layer_that_keeps_nothing_has_no_spread() -> None:
    found = values(analysed(nn.Sequential(nn.Linear(3, 2)), Mask((torch.zeros(6, dtype=torch.bool),))))
    assert found["incoming/sd/0.weight", 0] == 0
    assert not [metric for metric, _ in found if "/spread/" in metric]


def counted_one_by_one(module: Any, keep: Tensor) -> tuple[list[int], list[int]]:
    """A connection for each place of each kernel, found by asking the layer which inputs reach which outputs."""
    written = torch.zeros(module.out_channels, dtype=torch.long)
    read = torch.zeros(module.in_channels, dtype=torch.long)
    for place in keep.nonzero():
        with torch.no_grad():
            module.weight.zero_()
            module.weight[tuple(place)] = 1.0
            lights = torch.eye(module.in_channels).reshape(module.in_channels, module.in_channels, 1, 1)
            answer = module(lights.expand(-1, -1, 5, 5)).abs().amax((2, 3))
        (channel,) = answer.sum(1).nonzero()
        (neuron,) = answer.sum(0).nonzero()
        read[channel] += 1
        written[neuron] += 1
    return written.tolist(), read.tolist()


@settings(deadline=None)  # it asks torch about every place of a kernel, and a busy machine is slow
@given(st.booleans(), st.sampled_from([1, 2]), st.integers(1, 2), st.integers(1, 3), st.integers(0, 9))
def test_convolutions_are_counted_as_they_compute(
    transposed: bool, groups: int, read: int, written: int, seed: int
) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = kind(groups * read, groups * written, (2, 1), groups=groups, bias=False)
    model = nn.Sequential(module)
    units = weight_units(model)
    mask = some_mask(units, max(1, units.count // 2), str(seed))
    found = counts(units.expand(mask), model)
    expected = counted_one_by_one(module, units.expand(mask)["0.weight"])
    assert (found["incoming"]["0.weight"].tolist(), found["outgoing"]["0.weight"].tolist()) == expected


def test_an_entry_that_prunes_nothing_has_numbers_and_no_figure() -> None:
    analysis = analysed(nn.Sequential(nn.Linear(3, 2)), None)
    assert analysis.measurements
    assert not analysis.figures


def test_a_real_run_gives_the_numbers_of_its_own_masks(tmp_path: Path) -> None:
    outcome = run(tmp_path / "store", ANALYSED)
    rows = {(r.metric, r.round): r.value for r in outcome.rows if r.role == "analyse"}
    shop = Workshop(tmp_path / "store", ANALYSED)
    for ticket in shop.chain.tickets[1:]:
        assert ticket.mask is not None
        for layer, shape, keep in zip(
            shop.chain.context.model.layers, ((6, 8), (3, 6)), shop.mask(ticket.mask).keep, strict=True
        ):
            matrix = keep.numpy().reshape(shape)
            for side, neurons in (("incoming", matrix.sum(1)), ("outgoing", matrix.sum(0))):
                for metric, value in (
                    ("mean", neurons.mean()),
                    ("sd", neurons.std()),
                    ("none", (neurons == 0).mean()),
                ):
                    assert rows[f"connectivity/{side}/{metric}/{layer.name}", ticket.round] == pytest.approx(value)
    (line,) = [d for d in outcome.details if d.kind == "analysis"]
    assert [figure.name for figure in line.figures] == ["connectivity"]
