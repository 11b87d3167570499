"""Network slimming as a file asks for it: the built-in units, loss, initialiser and score on a real network."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Gather
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask
from prunebench.api.random import Streams
from prunebench.components.catalogue import Catalogue
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.running import run as carry_out
from prunebench.testing import ToyData, task_of, toy_benchmark, toy_catalogue
from prunebench_plugins.models.timm_ import Timm, TimmConfig
from prunebench_plugins.scores.bn_gamma import BnGamma, BnGammaConfig
from prunebench_plugins.scores.filter_l2 import FilterL2, FilterL2Config
from prunebench_plugins.scores.fpgm import Fpgm, FpgmConfig
from prunebench_plugins.scores.taylor import Taylor, TaylorConfig
from prunebench_plugins.units.channels import Channels, ChannelsConfig

CLASSES = task_of({"use": "classification"})

INFO = DataInfo("toy", "0", {"train": 1}, (1, 8, 8), 3)


class Small:
    """Two convolutions with norm layers for ToyData's images of 2 x 4 pixels."""

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(48, data_info.classes),
        )


@cache
def catalogue() -> Catalogue:
    more = [Component("small", ComponentConfig, lambda config: Small(), version=1)]
    return toy_catalogue().with_components(more, "tests")


@pytest.mark.parametrize("score", ["bn-gamma", "filter-l1", "filter-l2", "fpgm", "taylor", "magnitude", "random"])
def test_a_network_is_slimmed_from_end_to_end(tmp_path: Path, score: str) -> None:
    from engine.toy_runs import ignore, open_store, rows

    benchmark = toy_benchmark(
        {"execution": {"workers": 0, "device": "cpu"}, "cut": 0.25, "rounds": 2},
        model={"use": "small", "init": {"use": "bn-scale"}},
        entries=["imp"],
        entry=[
            {"name": "dense", "units": "channels"},
            {
                "name": "imp",
                "units": {"use": "channels"},
                "schedule": {"use": "one-shot", "weights": "carry"},
                "score": score,
                "find": {"loss": [{"use": "gamma-l1", "strength": 0.01}]},
            },
        ],
        catalogue=catalogue(),
    )
    store = open_store(tmp_path)
    plan = make_plan(benchmark, StoreProbe(store, Path()))
    prepared = Prepared(Options(Path("toy.toml"), store=tmp_path), benchmark, plan, Path(), tmp_path)
    outcome = carry_out(prepared, ignore, catalogue())
    found = {row["density"] for row in rows(outcome, metric="accuracy", split="test")}
    assert found == {9 / 12, 7 / 12}
    assert all(row.outcome == "ok" for row in outcome.rows)


def network(name: str, **args: object) -> nn.Module:
    model = Timm(TimmConfig.model_validate({"name": name, "args": args})).prunebench_model(INFO)
    with torch.no_grad():
        for index, module in enumerate(model.modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.linspace(-1, 1 + index / 100, module.num_features))
    return model.eval()


NETWORKS = [("cifar_resnet20", {"blocks": 1, "shortcut": "B"}), ("cifar_preresnet20", {"blocks": 1})]


@pytest.mark.parametrize(("name", "args"), [*NETWORKS, ("cifar_densenet40", {"layers": 2})])
def test_every_group_of_the_papers_networks_has_a_score(name: str, args: dict[str, object]) -> None:
    model = network(name, **args)
    units = Channels(ChannelsConfig(combine="mean")).prunebench_units(model, torch.zeros(1, *INFO.shape))
    mask = Mask.full(units.layers)
    for scores in (
        BnGamma(BnGammaConfig()).prunebench_score(model, units, mask),
        FilterL2(FilterL2Config()).prunebench_score(model, units, mask),
        Fpgm(FpgmConfig()).prunebench_score(model, units, mask),
    ):
        assert [values.shape for values in scores.values] == [(layer.count,) for layer in units.layers]
        assert bool(scores.flat().isfinite().all())


def test_the_scales_of_channels_that_shortcuts_couple_are_summed() -> None:
    model = network("cifar_resnet20", blocks=1, shortcut="B")
    units = Channels(ChannelsConfig(combine="sum")).prunebench_units(model, torch.zeros(1, *INFO.shape))
    found = dict(
        zip(
            [layer.name for layer in units.layers],
            BnGamma(BnGammaConfig()).prunebench_score(model, units, None).values,
            strict=True,
        )
    )
    trunk = [model.get_parameter(name).detach().abs() for name in ("layer2.0.bn2.weight", "layer2.0.shortcut.1.weight")]
    assert any(torch.allclose(values, trunk[0] + trunk[1]) for values in found.values() if values.shape == (32,))


def test_the_taylor_score_of_a_gate_is_the_change_that_its_removal_makes_to_first_order() -> None:
    torch.manual_seed(0)
    info = ToyData().prunebench_data().info
    model = Small().prunebench_model(info).double().eval()
    data = ToyData().prunebench_data()
    units = Channels(ChannelsConfig()).prunebench_units(model, torch.zeros(1, *info.shape))
    rng = Streams(0, round=1).rng("score")
    config = TaylorConfig(batch=96, batches=1, group=("norm", "bias"))
    scores = Taylor(config).prunebench_score(model, data, CLASSES, units, rng).values[0]
    ((images, labels),) = data["train"].batches([Gather(torch.arange(96))])
    slight = 1e-5
    with torch.no_grad():
        before = nn.functional.cross_entropy(model(images.double()), labels)
        for channel in range(6):
            norm = model[1]  # type: ignore[index]
            assert isinstance(norm, nn.BatchNorm2d)
            kept = norm.weight[channel].item(), norm.bias[channel].item()
            norm.weight[channel] *= 1 - slight
            norm.bias[channel] *= 1 - slight
            change = (nn.functional.cross_entropy(model(images.double()), labels) - before) / slight
            norm.weight[channel], norm.bias[channel] = kept
            assert float(scores[channel]) == pytest.approx(float(change) ** 2, rel=1e-2, abs=1e-12)
