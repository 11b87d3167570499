import torch
from torch import nn

from prunebench import ComponentConfig
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, weight_units
from prunebench_plugins.scores.random import Random


class TestRandom(ScoreContract):
    component = {"use": "random"}


def scored(model: nn.Module, round_: int) -> torch.Tensor:
    rng = Streams(0, round=round_).rng("score")
    return Random(ComponentConfig()).prunebench_score(weight_units(model), rng).flat()


def test_rounds_draw_other_numbers(two_layer_net: nn.Sequential) -> None:
    assert not torch.equal(scored(two_layer_net, 1), scored(two_layer_net, 2))


def test_layers_of_one_size_draw_other_numbers() -> None:
    first, second = scored(nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5)), 1).view(2, 25)
    assert not torch.equal(first, second)


def test_the_weights_are_not_looked_at(two_layer_net: nn.Sequential) -> None:
    before = scored(two_layer_net, 1)
    with torch.no_grad():
        two_layer_net.get_parameter("fc1.weight").zero_()
    assert torch.equal(before, scored(two_layer_net, 1))


def test_scores_are_uniform_and_distinct() -> None:
    scores = scored(nn.Sequential(nn.Linear(200, 200)), 1)
    assert float(scores.min()) >= 0
    assert float(scores.max()) < 1
    assert torch.unique(scores).numel() == scores.numel()
    counts = torch.histc(scores.float(), bins=10, min=0, max=1)
    chi_square = float(((counts - 4_000) ** 2 / 4_000).sum())
    assert chi_square < 27.9  # the 0.999 quantile for 9 degrees of freedom
