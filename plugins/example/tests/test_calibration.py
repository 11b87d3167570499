"""Steps that read training examples: their contracts, what they compute, and a benchmark through the public command."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from prunebench_example.fresh_statistics import FreshStatistics, FreshStatisticsConfig
from prunebench_example.refit import fitted, read
from torch import nn

from prunebench import Position
from prunebench.api.data import in_order
from prunebench.api.tickets import Ticket
from prunebench.testing import PruneContract, TicketContract, ToyData, some_mask, task_of, weight_units

HERE = Path(__file__).parents[1]
PRUNEBENCH = Path(sys.executable).with_name("prunebench")


def normed_net() -> nn.Sequential:
    """Batch norm of images of one channel, and a layer."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    with torch.no_grad():
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2.0)
    return net.eval()


class TestRefit(PruneContract):
    component = {"use": "refit"}


class TestFreshStatistics(TicketContract):
    component = {"use": "fresh-statistics", "batch": 8}


class TestFreshStatisticsOfNorms(TicketContract):
    component = {"use": "fresh-statistics", "batch": 8, "batches": 2}

    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return normed_net()


# What is computed.


def test_what_is_kept_gives_the_least_squared_error_that_it_can() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=draw) @ torch.randn(6, 6, generator=draw)  # inputs that go together
    weight = torch.randn(4, 6, generator=draw)
    keep = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 0, 0]]).bool()
    new = fitted(weight, keep, x.double().T @ x.double(), 1e-9)
    for row, kept in enumerate(keep):
        by_hand = torch.linalg.lstsq(x[:, kept].double(), x.double() @ weight[row].double()).solution
        torch.testing.assert_close(new[row, kept].double(), by_hand, rtol=1e-4, atol=1e-4)
        assert not bool(new[row, ~kept].any())


def test_a_filter_is_a_neuron_at_each_place() -> None:
    draw = torch.Generator().manual_seed(0)
    module = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
    images = torch.randn(4, 2, 5, 5, generator=draw)
    x = read(module, images)
    by_hand = module(images).permute(0, 2, 3, 1).reshape(-1, 3)
    torch.testing.assert_close(x @ module.weight.flatten(1).T, by_hand)


def test_statistics_are_the_means_over_the_batches_of_the_masked_network() -> None:
    model, data = normed_net(), ToyData().prunebench_data()
    units = weight_units(model)
    mask = some_mask(units, units.count // 2)
    ticket = Ticket({name: value.clone() for name, value in model.state_dict().items()}, mask, Position.parse("0it"))
    edit = FreshStatistics(FreshStatisticsConfig(batch=8, batches=2))
    edited = edit.prunebench_ticket(ticket, model, data, task_of({"use": "classification"}), units)
    batches = [images for images, _ in data["train"].batches(in_order(16, 8))]
    torch.testing.assert_close(edited.weights["0.running_mean"], torch.stack([b.mean() for b in batches]).mean()[None])
    hidden = []
    for one in batches:
        centred = (one - one.mean()) / (one.var(correction=0) + 1e-5).sqrt()
        kept = ticket.weights["2.weight"] * units.expand(mask)["2.weight"]
        normed = ticket.weights["0.weight"] * centred + ticket.weights["0.bias"]
        hidden.append(normed.flatten(1) @ kept.T + ticket.weights["2.bias"])
    by_hand = torch.stack([h.var(0) for h in hidden]).mean(0)
    torch.testing.assert_close(edited.weights["3.running_var"], by_hand, rtol=1e-4, atol=1e-5)
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    for name, value in ticket.weights.items():
        assert name.split(".")[1] in statistics or torch.equal(edited.weights[name], value)


# Through the public command.


@pytest.fixture(scope="module")
def details(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What stands behind the judged tickets of round 1 of the example's file, under its smoke profile."""
    folder = tmp_path_factory.mktemp("calibration")
    file = HERE / "calibration.toml"
    subprocess.run(
        [PRUNEBENCH, "run", file, "--profile", "smoke", "--store", "store", "--out", "out"], cwd=folder, check=True
    )
    rows = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]
    assert {row["outcome"] for row in rows} == {"ok"}
    lines = [json.loads(line) for line in (folder / "out" / "details.jsonl").read_text().splitlines()]
    return {line["entry"]: line for line in lines if line["kind"] == "evaluation" and line["round"] == 1}


def first_loss(detail: Mapping[str, Any]) -> float:
    return float(detail["curve"][0]["test/loss"])


def test_all_by_magnitude_prune_the_same_weights_and_the_score_that_looks_at_data_prunes_others(
    details: Mapping[str, Mapping[str, Any]],
) -> None:
    assert set(details) == {"magnitude", "activity", "statistics", "refit"}
    assert details["magnitude"]["layers"] == details["statistics"]["layers"] == details["refit"]["layers"]
    assert details["activity"]["layers"] != details["magnitude"]["layers"]


@pytest.mark.parametrize("entry", ["statistics", "refit"])
def test_retraining_starts_from_less_loss(details: Mapping[str, Mapping[str, Any]], entry: str) -> None:
    assert first_loss(details[entry]) < first_loss(details["magnitude"])
