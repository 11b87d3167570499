"""A benchmark that runs in a second: small images, a network of 66 weights, and everything else as usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import Cost
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.planning import Recipes, Request
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.load import resolve
from prunebench.benchmark.merging import merge, normalise
from prunebench.components.catalogue import Catalogue
from prunebench.kernels.weight_files import digest_of
from prunebench.plan.chain import Chain
from prunebench.plan.compile import chain_of, make_plan
from prunebench.plan.first_step import FirstStep
from prunebench.plan.published import FirstWeights
from prunebench.plan.scoring import Scoring
from prunebench.plan.specs import WeightFile
from prunebench.plan.trial import Plan
from prunebench.testing.data import ToyData, two_layer_net, weight_units

if TYPE_CHECKING:
    from prunebench.api.masks import Units

TOY: Mapping[str, Any] = {
    "schema": 1,
    "seeds": [0],
    "cut": 0.2,
    "rounds": 2,
    "data": "toy-data",
    "model": {"use": "toy-net"},
    "train": {"horizon": "24it", "batch": 8, "optimizer": {"use": "sgd", "lr": 0.1, "momentum": 0.9}},
    "measure": {"every": "8it"},
    "entry": [
        {"name": "dense", "units": "toy-units"},
        {"name": "imp", "schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"},
    ],
}
"""The table of a small benchmark file."""


class ToyNet:
    """The network of `two_layer_net`, as a component; its weights are drawn by its constructor."""

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        """Two linear layers for ToyData."""
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, data_info.classes))


class ToyUnits:
    """Every weight of the network, the classifier's too, as a component."""

    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        """One unit per weight."""
        return weight_units(model)


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The components of this file. They are not installed: a catalogue gets them by `toy_catalogue`."""
    yield Component("toy-data", ComponentConfig, lambda config: ToyData(), version=1)
    yield Component("toy-net", ComponentConfig, lambda config: ToyNet(), version=1)
    yield Component("toy-units", ComponentConfig, lambda config: ToyUnits(), version=1)


@cache
def toy_catalogue() -> Catalogue:
    """What is installed, and the toy components."""
    return Catalogue.load().with_components(prunebench_components(), "prunebench.testing")


class ToyProbe:
    """Sizes and shapes of the toy benchmark, without a store."""

    def data(self, chosen: DataChoice) -> DataInfo:
        """See prunebench.plan.compile.Probe."""
        return ToyData().prunebench_data().info

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        """See prunebench.plan.compile.Probe."""
        net = two_layer_net()
        return ModelInfo(chosen.label, sum(p.numel() for p in net.parameters()), weight_units(net).layers)

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        """See prunebench.plan.compile.Probe."""
        assert chosen.weights is not None
        return FirstWeights(WeightFile(chosen.weights, digest_of(Path(chosen.weights))))

    def first_step(self, chosen: ModelChoice, step: FirstStep) -> str:
        """See prunebench.plan.compile.Probe."""
        return ""

    def ask_score(self, chosen: ModelChoice, scoring: Scoring) -> None:
        """See prunebench.plan.compile.Probe."""

    def least(
        self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent
    ) -> Mapping[Cost, float]:
        """See prunebench.plan.compile.Probe."""
        net = two_layer_net()
        # All that multiplies is a unit.
        return {"parameters": 1 - weight_units(net).count / sum(p.numel() for p in net.parameters()), "macs": 0.0}


def toy_benchmark(*changes: Mapping[str, Any], catalogue: Catalogue | None = None, **more: Any) -> Benchmark:
    """The benchmark TOY with tables laid over it, as a file that `extends` another is."""
    table = normalise(TOY)
    for change in (*changes, more):
        table = merge(table, normalise(change))
    return resolve(table, toy_catalogue() if catalogue is None else catalogue, Path("toy.toml"))


def toy_plan(*changes: Mapping[str, Any], **more: Any) -> Plan:
    """Its plan."""
    return make_plan(toy_benchmark(*changes, **more), ToyProbe())


def toy_chain(
    rounds: int = 2, cut: float = 0.2, entry: str = "imp", changes: Mapping[str, Any] | None = None
) -> tuple[Chain, Recipes]:
    """The chain of an entry of the toy benchmark before its schedule was asked, and its recipes."""
    benchmark = toy_benchmark(changes or {}, rounds=rounds, cut=cut)
    chain = chain_of(benchmark, ToyProbe(), entry, benchmark.seeds[0])
    return chain, chain.recipes


def toy_request(round: int = 1) -> Request:
    """What a loss term is asked with in a find round of the toy benchmark, which trains the ticket before it."""
    chain, _ = toy_chain(rounds=max(2, round))
    tickets = chain.tickets
    optima = tuple(chain.find(tickets[r - 1], r).optimum for r in range(1, round))
    return Request("train", round - 1, tickets[round - 1], optima, chain, lambda name: chain)
