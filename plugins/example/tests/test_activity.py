import torch
from prunebench_example.activity import Activity, ActivityConfig
from torch import nn

from prunebench.api.data import Data, DataInfo, ResidentTensors
from prunebench.api.random import Rng
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import ScoreContract, task_of


class TestActivity(ScoreContract):
    component = {"use": "activity"}


def test_a_weight_that_reads_zeros_is_worth_nothing_and_one_that_reads_half_the_time_half() -> None:
    inputs = torch.ones(8, 3)
    inputs[:, 0], inputs[::2, 1] = 0, 0
    model = nn.Sequential(nn.Linear(3, 2))
    split = ResidentTensors(inputs, torch.zeros(8, dtype=torch.int64))
    data = Data(DataInfo("rows", "", {"train": 8}, (3,), 2), {"train": split})
    units = WeightUnits(model, {"0.weight": "linear"})
    task = task_of({"use": "classification"})
    scores = Activity(ActivityConfig(batch=8, batches=1)).prunebench_score(model, data, task, units, Rng("a"))
    expected = model[0].weight.detach().abs() * torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(scores.flat(), expected.flatten())
