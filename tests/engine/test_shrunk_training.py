"""Training the smaller network that a ticket is: a variant of its own, equal to the masked one but for rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.toy_runs import INLINE, Workshop, catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.errors import ConfigError, ContractError
from prunebench.api.info import DataInfo
from prunebench.engine.unshrink import Unshrink
from prunebench.testing import some_mask, toy_plan, two_layer_net, weight_units

SHRUNK = {"evaluate": {"shrunk": True}}
CHANNELS = {"name": "channels", "schedule": "rewind", "score": "magnitude", "select": "global", "units": "channels"}


class ConvNet:
    """Two convolutions with batch norm, small enough for the toy images."""

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(data_info.shape[0], 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * data_info.shape[1] * data_info.shape[2], data_info.classes),
        )


def known() -> Any:
    return catalogue().with_components([Component("conv-net", ComponentConfig, lambda c: ConvNet(), version=1)], "here")


@pytest.fixture
def conv(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("engine.toy_runs.catalogue", known)
    entries = [{"name": "dense"}, {"name": "imp"}, CHANNELS]
    return {"model": {"use": "conv-net"}, "entries": ["channels"], "entry": entries, "cut": 0.3}


def test_it_judges_as_the_masked_network_does(store_path: Path, conv: dict[str, Any]) -> None:
    masked, small = run(store_path, conv), run(store_path, conv, SHRUNK)
    for metric, near in (("loss", 1e-4), ("accuracy", 0.05)):
        pairs = zip(rows(masked, metric=metric), rows(small, metric=metric), strict=True)
        for one, other in pairs:
            assert other["value"] == pytest.approx(one["value"], abs=near)
            assert one["density"] == other["density"]


def test_its_states_are_those_of_the_whole_network_with_zeros(store_path: Path, conv: dict[str, Any]) -> None:
    ends = []
    for change in ({}, SHRUNK):
        workshop = Workshop(store_path, INLINE, conv, change, entry="channels")
        judged = workshop.chain.evaluate(workshop.chain.tickets[2])
        workshop.make(judged.end)
        ends.append(workshop.weights(judged.end))
    masked, small = ends
    assert masked.keys() == small.keys()
    for name, value in masked.items():
        assert value.shape == small[name].shape
        if not name.endswith(("running_mean", "running_var")):
            assert torch.equal(value == 0, small[name] == 0), name
            assert torch.allclose(value, small[name], atol=1e-4), name


def test_it_resumes_to_the_same_bits(store_path: Path, tmp_path: Path, conv: dict[str, Any]) -> None:
    ends = []
    for folder, stops in ((store_path, [24]), (tmp_path / "other", [7, 24])):
        workshop = Workshop(folder, INLINE, conv, SHRUNK, entry="channels")
        judged = workshop.chain.evaluate(workshop.chain.tickets[1])
        for stop in stops:
            workshop.make(judged.at(f"{stop}it"))
        ends.append(workshop.store.get(judged.end.address).files["weights.safetensors"])
    assert ends[0] == ends[1]


def test_it_is_in_the_keys_of_masked_runs_and_of_no_other() -> None:
    plain, shrunk = toy_plan(), toy_plan(SHRUNK)

    def judged(plan: Any, entry: str) -> set[str]:
        return {e.run.key for t in plan.trials if t.entry == entry for e in t.evaluations}

    assert judged(plain, "dense") == judged(shrunk, "dense")
    assert not judged(plain, "imp") & judged(shrunk, "imp")


def test_loss_terms_and_the_state_of_an_optimizer_need_the_whole_network() -> None:
    with pytest.raises(ConfigError, match=r"shrunk: .* cannot be trained with loss terms"):
        toy_plan(SHRUNK, entry=[{"name": "imp", "loss": ["repulsion"]}])


def test_the_state_of_an_optimizer_of_a_smaller_network_fits_no_other() -> None:
    on = {"find": {"shrunk": True}, "evaluate": {"optimizer_state": "with-weights"}}
    with pytest.raises(ConfigError, match="a run of a smaller network"):
        toy_plan(on, entry=[{"name": "imp", "schedule": {"use": "fine-tune", "over": "6it"}}])


def test_single_weights_cannot_be_taken_out() -> None:
    net = two_layer_net()
    units = weight_units(net)
    with pytest.raises(ContractError, match="single weights cannot be taken out"):
        Unshrink(net, units, some_mask(units, 20))
