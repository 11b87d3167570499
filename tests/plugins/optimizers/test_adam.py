import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from prunebench.testing import OptimizerContract
from prunebench_plugins.optimizers._kernel import kernel
from prunebench_plugins.optimizers.adam import Adam, AdamConfig


class TestAdam(OptimizerContract):
    component = {"use": "adam", "lr": 0.01}


class TestAdamWithDecay(OptimizerContract):
    component = {"use": "adam", "lr": 0.01, "betas": [0.8, 0.99], "weight_decay": 1e-2}


def test_a_step_is_that_of_the_paper() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(2.0)
    optimizer = Adam(AdamConfig(lr=0.1, betas=(0.5, 0.75), eps=1e-8)).prunebench_optimizer(model)
    weight, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate((1.0, -3.0, 0.5), start=1):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        first = 0.5 * first + 0.5 * gradient
        second = 0.75 * second + 0.25 * gradient**2
        weight -= 0.1 * (first / (1 - 0.5**step)) / (math.sqrt(second / (1 - 0.75**step)) + 1e-8)
    assert model.weight.item() == pytest.approx(weight, rel=1e-5)


def test_the_fused_kernel_is_chosen_where_there_is_one() -> None:
    assert kernel(nn.Linear(2, 2)) == {"fused": True}
    assert kernel(nn.Linear(2, 2, device="meta")) == {"foreach": True}
    complex_ = nn.Linear(2, 2, dtype=torch.complex64)
    assert kernel(complex_) == {"foreach": True}


@pytest.mark.parametrize("options", [{"lr": 0}, {"betas": [1.0, 0.9]}, {"eps": 0}, {"weight_decay": -1}])
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AdamConfig.model_validate(options)
