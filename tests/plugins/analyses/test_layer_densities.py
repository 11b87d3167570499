from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from prunebench import ComponentConfig
from prunebench.api.masks import Mask
from prunebench.api.planning import PlannedTicket, Ref
from prunebench.api.tickets import Optimum
from prunebench.testing import AnalyseContract, weight_units
from prunebench_plugins.analyses.layer_densities import LayerDensities


class TestLayerDensities(AnalyseContract):
    component = {"use": "layer-densities"}


class TestLayerDensitiesOfADeepNetwork(AnalyseContract):
    component = {"use": "layer-densities"}

    def model(self) -> nn.Module:
        return nn.Sequential(*(nn.Linear(3, 3) for _ in range(20)))


def analysed(*masks: Mask | None) -> Any:
    tickets = tuple(Optimum({}, mask, round_) for round_, mask in enumerate(masks))
    units = weight_units(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3)))
    return LayerDensities(ComponentConfig()).prunebench_analyse({"tickets": tickets}, units)


def test_densities_are_fractions_of_each_layer_by_round() -> None:
    analysis = analysed(None, Mask((torch.arange(8) < 6, torch.arange(6) < 3)))
    assert [(m.metric, m.round, m.value) for m in analysis.measurements] == [
        ("layer_density/0.weight", 0, 1.0),
        ("layer_density/1.weight", 0, 1.0),
        ("layer_density/0.weight", 1, 0.75),
        ("layer_density/1.weight", 1, 0.5),
    ]


def test_the_figure_names_axes_and_layers_in_text() -> None:
    svg = analysed(None, Mask((torch.arange(8) < 6, torch.arange(6) < 3))).figures[0].svg
    texts = {
        "".join(text.itertext()).strip()
        for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    }
    assert {"round", "density of the layer", "0.weight", "1.weight", "all"} <= texts


def test_a_layer_that_lost_all_its_units_is_drawn_and_named() -> None:
    analysis = analysed(None, Mask((torch.arange(8) < 6, torch.zeros(6, dtype=torch.bool))))
    assert analysis.measurements[-1].value == 0.0
    assert analysis.figures[0].caption.endswith("No unit is left in 1.weight.")


def test_an_entry_without_rounds_has_one_point_a_layer() -> None:
    analysis = analysed(None)
    assert [m.value for m in analysis.measurements] == [1.0, 1.0]
    assert len(analysis.figures) == 1


def test_it_asks_for_the_tickets_of_all_rounds() -> None:
    tickets = tuple(PlannedTicket(r, Ref("w", "weights"), None, 10) for r in range(3))
    request: Any = SimpleNamespace(tickets=tickets)
    assert LayerDensities(ComponentConfig()).prunebench_needs(request).inputs == {"tickets": tickets}


@pytest.mark.parametrize("layers", [12, 13])
def test_many_layers_get_a_colour_bar_in_place_of_a_legend(layers: int) -> None:
    units = weight_units(nn.Sequential(*(nn.Linear(2, 2) for _ in range(layers))))
    svg = (
        LayerDensities(ComponentConfig()).prunebench_analyse({"tickets": (Optimum({}, None, 0),)}, units).figures[0].svg
    )
    assert ("from 0.weight to" in svg) == (layers == 13)
    assert (">5.weight<" in svg) == (layers == 12)
