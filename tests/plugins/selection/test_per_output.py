import torch
from torch import Tensor

from prunebench import ComponentConfig
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores
from prunebench.testing import SelectContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.selection.per_output import PerOutput

UNITS = weight_units(two_layer_net())


class TestPerOutput(SelectContract):
    component = {"use": "per-output"}

    def rivals(self, layer: Layer) -> Tensor:
        return torch.arange(layer.count) // layer.shape[1]


def select(scores: Scores, count: int, mask: Mask) -> Mask:
    return PerOutput(ComponentConfig()).prunebench_select(scores, UNITS, mask, count)


def test_every_output_keeps_its_own_highest_however_outputs_compare() -> None:
    scores = Scores((torch.arange(48.0), torch.arange(18.0)))
    chosen = select(scores, 33, Mask.full(UNITS.layers))
    first, second = (keep.reshape(layer.shape) for keep, layer in zip(chosen.keep, UNITS.layers, strict=True))
    assert first.sum(1).tolist() == [4] * 6
    assert bool(first[:, 4:].all())
    assert second.sum(1).tolist() == [3] * 3
    assert bool(second[:, 3:].all())


def test_what_an_output_cannot_keep_goes_to_the_others_and_nothing_dead_returns() -> None:
    mask = some_mask(UNITS, 40)
    scores = Scores(tuple(torch.full((layer.count,), -torch.inf) for layer in UNITS.layers))
    for count in range(1, 41):
        chosen = select(scores, count, mask)
        assert chosen.count == count
        assert chosen.issubset(mask)
