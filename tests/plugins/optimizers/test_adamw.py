from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from torch import nn

from prunebench.api.errors import ContractError
from prunebench.testing import OptimizerContract, two_layer_net
from prunebench_plugins.optimizers.adamw import AdamW, AdamWConfig


class TestAdamW(OptimizerContract):
    component = {"use": "adamw", "lr": 0.01}


class TestAdamWWithDecayOnAll(OptimizerContract):
    component = {"use": "adamw", "lr": 0.01, "decay_norms_and_biases": True, "weight_decay": 0.1}


def built(model: nn.Module, **fields: Any) -> torch.optim.Optimizer:
    return AdamW(AdamWConfig.model_validate(fields)).prunebench_optimizer(model)


def groups_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }


def test_norms_and_biases_do_not_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    found = groups_of(model, built(model, weight_decay=0.1))
    assert {name for name, (_, decay) in found.items() if decay} == {"0.weight", "2.weight"}
    assert all(lr == 1e-3 for lr, _ in found.values())


def test_a_step_is_that_of_the_published_algorithm() -> None:
    model = nn.Linear(2, 1).double()
    before = model.weight.detach().clone()
    optimizer = built(model, lr=0.1, weight_decay=0.5, betas=(0.9, 0.99), eps=1e-8)
    slope = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
    model.weight.grad, model.bias.grad = slope.clone(), torch.zeros(1, dtype=torch.float64)
    optimizer.step()
    # The first step's bias-corrected moments are the gradient and its square.
    expected = before * (1 - 0.1 * 0.5) - 0.1 * slope / (slope.abs() + 1e-8)
    torch.testing.assert_close(model.weight.detach(), expected)


@pytest.mark.filterwarnings("ignore")
def test_rates_fall_from_the_head_down_as_timms_do() -> None:
    import timm
    from timm.optim import param_groups_layer_decay

    model = timm.create_model("test_vit", num_classes=3)
    found = groups_of(model, built(model, layer_decay=0.7, weight_decay=0.1))
    names = {id(p): name for name, p in model.named_parameters()}
    for group in param_groups_layer_decay(model, weight_decay=0.1, layer_decay=0.7):
        for parameter in group["params"]:
            assert found[names[id(parameter)]][0] == pytest.approx(1e-3 * group["lr_scale"])
    assert found["head.weight"][0] == pytest.approx(1e-3)


def test_a_network_whose_layers_have_no_order_is_told() -> None:
    with pytest.raises(ContractError, match="layer_decay: a Sequential does not say in which order its layers come"):
        built(nn.Sequential(nn.Linear(2, 2)), layer_decay=0.7)


def test_only_norms_and_biases_are_trained_and_nothing_else_moves() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = built(model, only=["norm", "bias"], weight_decay=0.1, lr=0.1)
    nn.functional.cross_entropy(model(torch.randn(16, 1, 2, 4)), torch.arange(16) % 3).backward()
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"1.bias", "2.weight", "2.bias", "4.bias"}


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ContractError, match="only: the network has nothing that is norm"):
        built(two_layer_net(), only=["norm"])


def test_a_ticket_is_retrained_by_its_biases_alone(tmp_path: Path) -> None:
    changes = {"entry": [{"name": "imp", "evaluate": {"optimizer": {"use": "adamw", "lr": 0.01, "only": ["bias"]}}}]}
    outcome = run(tmp_path, changes, rounds=1)
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    workshop = Workshop(tmp_path, changes, rounds=1)
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    workshop.make(judged.end, judged.ticket.weights)
    before, after = workshop.weights(judged.ticket.weights), workshop.weights(judged.end)
    mask = workshop.mask(judged.ticket.mask)
    for name, keep in zip(("1.weight", "3.weight"), mask.keep, strict=True):
        assert torch.equal(after[name].flatten()[keep], before[name].flatten()[keep])
    assert not torch.equal(after["1.bias"], before["1.bias"])
