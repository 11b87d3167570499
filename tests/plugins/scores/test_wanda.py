from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench import PlanError
from prunebench.api.data import Data, DataInfo, ResidentTensors, in_order
from prunebench.api.random import Streams
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import ScoreContract, ToyData, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.wanda import Wanda, WandaConfig

CLASSES = task_of({"use": "classification"})
RNG = Streams(0, round=1).rng("score")


class TestWanda(ScoreContract):
    component = {"use": "wanda"}


def test_scores_are_magnitudes_times_the_norms_of_what_neurons_read() -> None:
    model = two_layer_net().double().eval()
    ((images, _),) = ToyData().prunebench_data()["train"].batches(in_order(96, 96))
    hidden = torch.relu(images.double().flatten(1) @ model.fc1.weight.T + model.fc1.bias)  # type: ignore[operator, union-attr]
    expected = [
        model.get_parameter("fc1.weight").abs() * images.double().flatten(1).norm(dim=0),
        model.get_parameter("fc2.weight").abs() * hidden.norm(dim=0),
    ]
    config = WandaConfig(batch=24, batches=4)
    scores = Wanda(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), RNG)
    for found, wanted in zip(scores.values, expected, strict=True):
        torch.testing.assert_close(found, wanted.detach().flatten(), rtol=1e-6, atol=1e-9)


def test_a_grouped_convolution_reads_the_patches_of_its_own_channels() -> None:
    torch.manual_seed(0)
    images = torch.randn(6, 4, 5, 5, dtype=torch.float64)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, groups=2)).double()
    split = ResidentTensors(images, torch.zeros(6, dtype=torch.int64))
    data = Data(DataInfo("images", "", {"train": 6}, (4, 5, 5), 2), {"train": split})
    units = WeightUnits(model, {"0.weight": "conv"})
    scores = Wanda(WandaConfig(batch=6, batches=1)).prunebench_score(model, data, CLASSES, units, RNG)
    weight = model.get_parameter("0.weight").detach()
    patches = nn.functional.unfold(images, 3, padding=1).reshape(6, 2, 18, 25)
    norms = patches.square().sum((0, 3)).sqrt()  # (groups, columns of a group)
    expected = weight.abs().reshape(2, 3, 18) * norms[:, None]
    torch.testing.assert_close(scores.flat(), expected.flatten())


def test_it_prunes_a_network_end_to_end(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"entry": [{"name": "imp", "score": "wanda", "select": "per-output"}]})
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}


def test_channels_are_refused_before_anything_runs() -> None:

    from prunebench.api.info import Layer, ModelInfo
    from prunebench.testing import toy_request

    request = toy_request()
    chain = request.chain
    object.__setattr__(chain.context, "model", ModelInfo("m", 9, (Layer("group", 0, 9),)))  # type: ignore[attr-defined]
    with pytest.raises(PlanError, match='wanda: it works on single weights, and not on channels; write units = "wei'):
        Wanda(WandaConfig()).prunebench_needs(request)
    kinds = ModelInfo("m", 9, (Layer("embed.weight", 0, 9, "embedding", 0, (3, 3)),))
    object.__setattr__(chain.context, "model", kinds)  # type: ignore[attr-defined]
    with pytest.raises(PlanError, match=r'"embed.weight" is of a layer of the kind "embedding"'):
        Wanda(WandaConfig()).prunebench_needs(request)
