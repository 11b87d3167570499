import torch
from channel_toys import HandUnits, channel_net
from torch import nn

from prunebench import ComponentConfig
from prunebench.api.masks import Mask, Scores, Units
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import SelectContract
from prunebench_plugins.selection.isomorphic import Isomorphic, classes_of


class TestIsomorphic(SelectContract):
    component = {"use": "isomorphic"}


class TestIsomorphicOfChannels(SelectContract):
    component = {"use": "isomorphic"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


def test_channels_that_own_other_things_do_not_compete() -> None:
    units = HandUnits(channel_net())  # a channel of conv2 is read as 8 pixels
    assert list(classes_of(units).values()) == [(0,), (1,)]


def test_each_class_keeps_the_same_share_and_cuts_globally_within() -> None:
    model = nn.Sequential(nn.Conv2d(3, 10, 2), nn.Conv2d(10, 10, 3, groups=10), nn.Conv2d(10, 6, 2), nn.Linear(6, 5))
    kinds = {"0.weight": "conv", "1.weight": "conv", "2.weight": "conv", "3.weight": "linear"}
    units = WeightUnits(model, kinds)
    assert list(classes_of(units).values()) == [(0, 2), (1,), (3,)]
    torch.manual_seed(0)
    scores = Scores(tuple(torch.rand(layer.count) + 10 * i for i, layer in enumerate(units.layers)))
    count = units.count // 2
    chosen = Isomorphic(ComponentConfig()).prunebench_select(scores, units, Mask.full(units.layers), count)
    assert chosen.count == count
    for members in ((0, 2), (1,), (3,)):
        size = sum(units.layers[i].count for i in members)
        assert abs(sum(chosen.counts[i] for i in members) - size / 2) <= 1
    # Layers 0 and 2 are alike, and 2 scores higher: it stays whole before 0 keeps anything.
    assert chosen.counts[0] == 0 or chosen.counts[2] == units.layers[2].count
