import torch
from torch import nn

from prunebench import ComponentConfig
from prunebench.api.masks import Mask, Scores
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import SelectContract
from prunebench_plugins.selection.global_ import Global


def units(*counts: int) -> WeightUnits:
    """So many weights in each layer."""
    layers = nn.Sequential(*(nn.Linear(count, 1) for count in counts))
    return WeightUnits(layers, {f"{index}.weight": "linear" for index in range(len(counts))})


class TestGlobal(SelectContract):
    component = {"use": "global"}


def test_the_highest_survive_whatever_their_layer() -> None:
    scores = Scores((torch.tensor([0.1, 9.0, 0.2]), torch.tensor([5.0, 7.0])))
    mask = Mask((torch.ones(3, dtype=torch.bool), torch.ones(2, dtype=torch.bool)))
    chosen = Global(ComponentConfig()).prunebench_select(scores, units(3, 2), mask, 3)
    assert [keep.tolist() for keep in chosen.keep] == [[False, True, False], [True, True]]


def test_a_tie_across_layers_falls_to_the_earlier_layer() -> None:
    scores = Scores((torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0])))
    mask = Mask((torch.tensor([True, False]), torch.ones(2, dtype=torch.bool)))
    chosen = Global(ComponentConfig()).prunebench_select(scores, units(2, 2), mask, 2)
    assert [keep.tolist() for keep in chosen.keep] == [[True, False], [True, False]]
