import pytest
import torch
from pydantic import ValidationError
from torch import nn

from prunebench.testing import OptimizerContract
from prunebench_plugins.optimizers.sgd import SGD, SGDConfig


class TestSGD(OptimizerContract):
    component = {"use": "sgd", "lr": 0.1}


class TestSGDWithMomentumAndDecay(OptimizerContract):
    component = {"use": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


class TestSGDWithNesterovsMomentumAndDecay(OptimizerContract):
    component = {"use": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}


def test_a_step_is_that_of_the_textbook() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(2.0)
    optimizer = SGD(SGDConfig(lr=0.1, momentum=0.5, weight_decay=0.25)).prunebench_optimizer(model)
    weight, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        velocity = 0.5 * velocity + gradient + 0.25 * weight
        weight -= 0.1 * velocity
    assert model.weight.item() == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.0},
        {"lr": -1.0},
        {"lr": float("inf")},
        {"lr": 0.1, "momentum": 1.0},
        {"lr": 0.1, "weight_decay": -1e-4},
        {"lr": 0.1, "nesterov": True},
        {"lr": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1},
        {},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SGDConfig.model_validate(options)
