import pytest
import torch
from channel_toys import HandUnits, channel_net
from torch import nn

from prunebench.api.errors import ContractError
from prunebench.api.masks import Units
from prunebench.testing import ScoreContract, two_layer_net, weight_units
from prunebench_plugins.scores.group_norm import GroupNorm, GroupNormConfig


class TestGroupNorm(ScoreContract):
    component = {"use": "group-norm"}

    def model(self) -> nn.Module:
        return channel_net()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestGroupNormOfMagnitudes(TestGroupNorm):
    component = {"use": "group-norm", "p": 1, "normalise": "l2", "roles": ["out", "in"]}


@pytest.mark.parametrize("p", [1, 2])
def test_everything_that_goes_with_a_channel_counts(p: int) -> None:
    model = channel_net()
    values = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    expected = []
    for number, (count, reader, width) in enumerate([(5, "conv2.weight", 1), (4, "fc.weight", 8)], start=1):
        for channel in range(count):
            parts = [values[f"conv{number}.weight"][channel], values[f"bn{number}.weight"][channel]]
            parts.append(values[f"bn{number}.bias"][channel])
            parts.append(values[reader][:, channel * width : (channel + 1) * width])
            expected.append(sum(float((part.abs() ** p).sum()) for part in parts))
    config = GroupNormConfig(p=p, normalise="none")
    found = GroupNorm(config).prunebench_score(model, HandUnits(model), None).flat().tolist()
    assert found == pytest.approx(expected, rel=1e-5)


def test_layers_are_made_comparable_by_their_mean() -> None:
    model = channel_net()
    for values in GroupNorm(GroupNormConfig()).prunebench_score(model, HandUnits(model), None).values:
        assert float(values.mean()) == pytest.approx(1.0, rel=1e-5)


def test_single_weights_are_told() -> None:
    model = two_layer_net()
    with pytest.raises(ContractError, match=r'layer "fc1.weight" has no channels to score'):
        GroupNorm(GroupNormConfig()).prunebench_score(model, weight_units(model), None)
    assert torch.is_tensor(model.fc1.weight)
