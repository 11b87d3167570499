from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench import Position
from prunebench.api.data import in_order
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.api.tickets import Ticket
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import TicketContract, ToyData, some_mask, task_of
from prunebench_plugins.tickets.recalibrate_batch_norm import Recalibrate, RecalibrateConfig


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()


def units(model: nn.Module) -> WeightUnits:
    return WeightUnits(model, {"1.weight": "linear", "4.weight": "linear"})


class TestRecalibrate(TicketContract):
    component = {"use": "recalibrate-batch-norm"}

    def model(self) -> nn.Module:
        return net()

    def units(self, model: nn.Module) -> WeightUnits:
        return units(model)

    def fresh(self, rng):  # type: ignore[no-untyped-def]
        return dict(net().state_dict())


def test_the_statistics_are_those_of_the_masked_layers_outputs_over_the_training_images() -> None:
    model = net()
    mask = some_mask(units(model), 30)
    ticket = Ticket(dict(model.state_dict()), mask, Position.parse("0it"))
    edit = Recalibrate(RecalibrateConfig(batch=96, batches=1))
    data = ToyData().prunebench_data()
    rng = Streams(0).rng("ticket")
    edited = edit.prunebench_ticket(ticket, net(), data, task_of({"use": "classification"}), units(model), rng)
    ((images, _),) = data["train"].batches(in_order(96, 96))
    weight = ticket.weights["1.weight"] * mask.keep[0].reshape(6, 8)
    outputs = images.flatten(1) @ weight.T + ticket.weights["1.bias"]
    torch.testing.assert_close(edited.weights["2.running_mean"], outputs.mean(0))
    torch.testing.assert_close(edited.weights["2.running_var"], outputs.var(0))
    changed = {name for name in ticket.weights if not torch.equal(edited.weights[name], ticket.weights[name])}
    assert changed == {"2.running_mean", "2.running_var"}


def test_a_network_without_batch_norm_is_told(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    ticket = Ticket(dict(model.state_dict()), Mask((torch.ones(24, dtype=torch.bool),)), Position.parse("0it"))
    with pytest.raises(ContractError, match="the network has no batch norm with running statistics"):
        Recalibrate(RecalibrateConfig()).prunebench_ticket(
            ticket, model, ToyData().prunebench_data(), task_of({"use": "classification"}),
            WeightUnits(model, {"1.weight": "linear"}), Streams(0).rng("ticket"),
        )  # fmt: skip


def test_a_joint_prunings_notes_stay_with_an_edited_ticket(tmp_path: Path) -> None:
    entry = {
        "name": "imp", "units": "toy-units", "prune": {"use": "sparsegpt", "batch": 4, "batches": 1},
        "schedule": "lr-rewind", "ticket": "recalibrate-batch-norm",
    }  # fmt: skip
    outcome = run(tmp_path, {"entry": [entry], "model": {"use": "net", "kind": "batch-norm"}}, rounds=1)
    assert outcome.failed == {}
    assert all("at fewer places" in row["note"] for row in rows(outcome, entry="imp"))
