import numpy as np
import pytest
import torch
from channel_toys import HandUnits, channel_net
from torch import nn

from prunebench.api.data import Gather
from prunebench.api.errors import ContractError
from prunebench.api.masks import Member, Units
from prunebench.api.random import Streams
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import ScoreContract, ToyData, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.hrank import HRank, HRankConfig


class TestHRank(ScoreContract):
    component = {"use": "hrank", "batch": 8, "batches": 2}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


@pytest.mark.parametrize("norm", [True, False])
def test_the_score_is_the_mean_rank_over_all_images_by_numpy(norm: bool) -> None:
    model = channel_net(norm).eval()
    data = ToyData().prunebench_data()
    (batch,) = data["train"].batches([Gather(torch.arange(96))])
    config, rng = HRankConfig(batch=96, batches=1, normalise="none"), Streams(0).rng("score")
    task, units = task_of({"use": "classification"}), HandUnits(model)
    scores = HRank(config).prunebench_score(model, data, task, units, None, rng)
    values = batch[0]
    for number, found in enumerate(scores.values):
        with torch.no_grad():
            for name, module in model.named_children():
                if name.endswith(str(number + 1)):
                    values = module(values)
        ranks = np.linalg.matrix_rank(values.clamp_min(0).numpy())
        assert found.tolist() == pytest.approx(ranks.mean(0).tolist())
        assert float(found.std()) > 0


def test_what_has_no_maps_is_told() -> None:
    model = two_layer_net()
    arguments = (ToyData().prunebench_data(), task_of({"use": "classification"}), weight_units(model), None)
    with pytest.raises(ContractError, match='write units = "channels"'):
        HRank(HRankConfig()).prunebench_score(model, *arguments, Streams(0).rng("score"))


class ChannelsLast(nn.Module):
    """A hidden layer of `width` channels that a linear layer makes at each pixel, as in ConvNeXt's blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(1, width), nn.Linear(width, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.fc1(images.movedim(1, -1)).relu().mean((1, 2)))


class HiddenUnits(WeightUnits):
    """The channels of fc1."""

    def members(self) -> tuple[tuple[Member, ...], ...]:
        (layer,) = self.layers
        return ((Member("fc1.weight", 0, torch.arange(layer.count)[:, None], "out"),),)


@pytest.mark.parametrize("width", [2, 5])  # 2: as many as the images have rows
def test_channels_that_come_last_are_told(width: int) -> None:
    model = ChannelsLast(width).eval()
    units = HiddenUnits(model, {"fc1.weight": "linear"})
    arguments = (ToyData().prunebench_data(), task_of({"use": "classification"}), units, None)
    with pytest.raises(ContractError, match='"fc1" gives no feature maps of height and width; use another score'):
        HRank(HRankConfig(batches=1)).prunebench_score(model, *arguments, Streams(0).rng("score"))
