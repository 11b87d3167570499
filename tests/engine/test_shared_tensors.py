"""A network whose tensors have several names gives the numbers of the same network without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from engine.toy_runs import INLINE, catalogue, ignore, open_store
from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.api.info import DataInfo
from prunebench.components.catalogue import Catalogue
from prunebench.engine.probe import StoreProbe
from prunebench.kernels.networks import built
from prunebench.kernels.sizes import dense_bytes
from prunebench.plan.compile import make_plan
from prunebench.runner.preparing import Options, Prepared
from prunebench.testing import toy_benchmark


class Block(nn.Sequential):
    """Two channels that are normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, 2, 1), nn.BatchNorm2d(2), nn.ReLU())


class Net(nn.Module):
    """Two blocks and a head; `twice` gives the last block and the head a second name."""

    def __init__(self, classes: int, twice: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(Block(1), Block(2))
        self.head = nn.Linear(16, classes)
        if twice:
            self.last, self.classifier = self.body[1], self.head

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).flatten(1))
        return out


class NetConfig(ComponentConfig):
    """`twice`: whether tensors have a second name."""

    twice: bool = False


class Nets:
    def __init__(self, config: NetConfig) -> None:
        self._twice = config.twice

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        return Net(data_info.classes, self._twice)


def components() -> Iterator[Component]:
    yield Component("named-twice", NetConfig, Nets, version=1)


def with_nets() -> Catalogue:
    return catalogue().with_components(components(), "nets 1.0")


EDITS = {
    "noisy": {"ticket": {"use": "noise", "sigmas": 1.0}},
    "redrawn": {"ticket": "reinit-from-ticket"},
    "rescaled": {"ticket": "rescale-variance"},
    "reinit": {"ticket": "reinit"},
}


def changes(twice: bool) -> dict[str, Any]:
    ticket = {"name": "ticket", "schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
    analyses = [
        {"use": "accuracy-plane", "grid": 3, "points": 3, "images": 24},
        {"use": "error-barrier", "mask": "later", "points": 3, "images": 24},
        {"use": "cost"},
    ]
    filters = {
        "name": "filters",
        "units": "channels",
        "schedule": {"use": "fine-tune", "over": "6it", "optimizer": {"use": "sgd", "lr": 0.01}},
        "score": "filter-l1",
        "select": "global",
    }
    return {
        "rounds": 1,
        "cut": 0.5,
        "model": {"label": "net", "use": "named-twice", "twice": twice},
        "train": {"horizon": "12it"},
        "measure": {"every": None},
        "report": {"axis": "density_macs", "at": [0.5]},
        "entry": [
            {**ticket, "analyse": analyses},
            *({"name": name, "tickets": "ticket", **edit} for name, edit in EDITS.items()),
            filters,
            {**filters, "name": "small", "train": {"shrunk": True}},
        ],
    }


def planned(store: Path, *more: dict[str, Any], twice: bool) -> Prepared:
    table = changes(twice)
    benchmark = toy_benchmark(INLINE, table, *more, catalogue=with_nets())
    plan = make_plan(benchmark, StoreProbe(open_store(store), Path()))
    return Prepared(Options(Path("toy.toml"), store=store), benchmark, plan, Path(), store)


def rows(store: Path, twice: bool) -> list[dict[str, Any]]:
    outcome = runner.run(planned(store, twice=twice), ignore, with_nets())
    assert outcome.failed == {}
    exact = (row for row in outcome.rows if row.exact)  # times are not the same twice
    return [{name: value for name, value in row.to_json().items() if name != "key"} for row in exact]


def test_every_row_agrees_with_that_of_the_network_with_one_name(tmp_path: Path) -> None:
    once, twice = rows(tmp_path / "once", False), rows(tmp_path / "twice", True)
    assert {row["entry"] for row in once} >= {"ticket", *EDITS, "filters", "small"}
    assert once == twice


def test_states_and_bytes_are_of_each_tensor_once() -> None:
    once, twice = built(lambda: Net(3, False)), built(lambda: Net(3, True))
    assert list(once.state_dict()) == list(twice.state_dict())
    assert dense_bytes(once.state_dict()) == dense_bytes(twice.state_dict())


def test_a_file_that_safetensors_wrote_of_shared_tensors_is_read(tmp_path: Path) -> None:
    torch.manual_seed(5)
    file = tmp_path / "tied.safetensors"
    save_model(Net(3, True), str(file))
    start = {"model": {"weights": str(file)}}
    ready = planned(tmp_path / "store", start, twice=True)
    assert {trial.entry for trial in ready.plan.trials} >= {"ticket"}
