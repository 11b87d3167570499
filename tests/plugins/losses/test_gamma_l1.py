from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from channel_toys import HandUnits, channel_net
from pydantic import ValidationError
from torch import Tensor, nn

from prunebench import CannotTakePart, Component, ComponentConfig, hookimpl
from prunebench.api.masks import Mask, Units
from prunebench.api.training import LossTerm
from prunebench.components.catalogue import Catalogue
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.running import run as carry_out
from prunebench.store.tensors import load_tensors
from prunebench.testing import Contract, LossContract, same, state, toy_benchmark, toy_catalogue, two_layer_net
from prunebench_plugins.losses.gamma_l1 import GammaL1, GammaL1Config

SCALES = ("bn1.weight", "bn2.weight")


class TestGammaL1(LossContract):
    component = {"use": "gamma-l1", "strength": 0.01}

    def model(self) -> nn.Module:
        return channel_net().eval()

    def units(self, model: nn.Module) -> Units:
        return HandUnits(model)


class TestGammaL1Proximal(Contract):
    component = {"use": "gamma-l1", "method": "proximal", "over": "all"}
    slot = "loss"


def term(model: nn.Module, **fields: Any) -> LossTerm:
    (only,) = GammaL1(GammaL1Config.model_validate(fields)).prunebench_loss_terms(model)
    return only


def test_the_gradient_is_that_of_the_penalty() -> None:
    model = channel_net().double()
    penalty = 0.03 * sum(model.get_parameter(name).abs().sum() for name in SCALES)
    assert isinstance(penalty, Tensor)
    penalty.backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gradient = term(model, strength=0.03).gradient
    assert gradient is not None
    gradient()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert not parameter.grad.requires_grad
        wanted = expected[name] if name in SCALES else torch.zeros_like(parameter)
        assert wanted is not None
        torch.testing.assert_close(parameter.grad, wanted)


def test_a_scale_of_zero_is_not_pushed() -> None:
    model = channel_net()
    scale = model.get_parameter("bn1.weight")
    with torch.no_grad():
        scale[2] = 0.0
    scale.grad = torch.full((5,), 7.0)
    gradient = term(model, strength=0.5).gradient
    assert gradient is not None
    gradient()
    signs = scale.detach().sign()
    assert scale.grad.tolist() == (7.0 + 0.5 * signs).tolist()
    assert float(scale.grad[2]) == 7.0
    assert model.get_parameter("bn2.weight").grad is None


def test_the_proximal_step_is_the_minimiser_of_its_definition() -> None:
    # argmin over x of (x - gamma)^2 / 2 + rate * strength * |x|, looked for on a fine grid.
    model = channel_net().double()
    before = {name: model.get_parameter(name).detach().clone() for name in SCALES}
    proximal = term(model, strength=2.0, method="proximal").proximal
    assert proximal is not None
    proximal(0.1)
    grid = torch.linspace(-1.5, 1.5, 300_001, dtype=torch.float64)
    zeros = 0
    for name in SCALES:
        for old, new in zip(before[name], model.get_parameter(name).detach(), strict=True):
            best = grid[((grid - old) ** 2 / 2 + 0.1 * 2.0 * grid.abs()).argmin()]
            assert float(new) == pytest.approx(float(best), abs=2e-5)
            assert (float(new) == 0.0) == (abs(float(old)) <= 0.2)
            zeros += float(new) == 0.0
    assert 0 < zeros < 9


def test_the_proximal_step_touches_scales_alone_and_leaves_zero_at_zero() -> None:
    model = channel_net()
    with torch.no_grad():
        model.get_parameter("bn2.weight").zero_()
    before = state(model)
    proximal = term(model, strength=1.0, method="proximal").proximal
    assert proximal is not None
    proximal(0.05)
    after = state(model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"bn1.weight"}


def test_other_norm_layers_are_penalised_if_asked() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.LayerNorm(3), nn.BatchNorm2d(4))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gradient = term(model, strength=0.25, over="all").gradient
    assert gradient is not None
    gradient()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert moved == {"1.weight", "2.weight", "3.weight"}


def test_a_network_without_scales_is_an_error() -> None:
    with pytest.raises(CannotTakePart, match="no batch-norm layer with a learned scale"):
        term(two_layer_net())
    with pytest.raises(CannotTakePart, match="no norm layer with a learned scale"):
        term(nn.Sequential(nn.BatchNorm2d(3, affine=False)), over="all")
    with pytest.raises(CannotTakePart, match="no batch-norm layer"):
        term(nn.GroupNorm(2, 4))


def test_a_penalty_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        GammaL1Config(strength=-1e-4)


# In training.


class ChannelNet:
    """The network and the units of channel_toys, as components."""

    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return channel_net()


class ChannelUnits:
    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        return HandUnits(model)


def catalogue() -> Catalogue:
    more = [
        Component("channel-net", ComponentConfig, lambda config: ChannelNet(), version=1),
        Component("hand-units", ComponentConfig, lambda config: ChannelUnits(), version=1),
    ]
    return toy_catalogue().with_components(more, "tests")


def trained(folder: Path, entry: Mapping[str, Any]) -> list[Mapping[str, Tensor]]:
    """The network at the start and at the end of each run of an entry, in the order of the plan."""
    from engine.toy_runs import ignore, open_store

    benchmark = toy_benchmark(
        {"execution": {"workers": 0, "device": "cpu"}},
        model={"use": "channel-net"},
        entries=["imp"],
        entry=[{"name": "dense", "units": "hand-units"}, {"name": "imp", "units": "hand-units", **entry}],
        catalogue=catalogue(),
    )
    store = open_store(folder)
    plan = make_plan(benchmark, StoreProbe(store, Path()))
    carry_out(Prepared(Options(Path("toy.toml"), store=folder), benchmark, plan, Path(), folder), ignore, catalogue())
    return [
        load_tensors(artifact.files["weights.safetensors"])
        for refs in plan.wanted.values()
        for ref in sorted(refs, key=lambda ref: ref.address)
        if ref.part == "weights" and (artifact := store.get(ref.address)) is not None
    ]


def zeros(weights: Mapping[str, Tensor]) -> int:
    return sum(int((weights[name] == 0).sum()) for name in SCALES)


def test_a_proximal_penalty_trains_scales_to_exactly_zero_and_a_subgradient_does_not(tmp_path: Path) -> None:
    loss = {"use": "gamma-l1", "strength": 0.5}
    plain = {"schedule": "one-shot", "score": "bn-gamma", "cut": 0.2, "rounds": 1}
    found = {}
    for method in ("subgradient", "proximal"):
        entry = {**plain, "train": {"loss": [{**loss, "method": method}]}}
        found[method] = trained(tmp_path / method, entry)
    assert max(zeros(weights) for weights in found["proximal"]) > 0
    assert max(zeros(weights) for weights in found["subgradient"]) == 0
    unpenalised = trained(tmp_path / "plain", plain)
    size = {name: sum(float(w[-1][n].abs().sum()) for n in SCALES) for name, w in (*found.items(), ("", unpenalised))}
    assert size["subgradient"] < size[""]
    assert size["proximal"] < size[""]


def test_dead_channels_stay_at_zero_under_either_method() -> None:
    for method in ("subgradient", "proximal"):
        model = channel_net()
        units = HandUnits(model)
        mask = Mask((torch.tensor([True, False, True, True, False]), torch.tensor([True, True, False, True])))
        keep = units.expand(mask)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.masked_fill_(~keep[name], 0.0)
        before = state(model)
        one = term(model, strength=0.1, method=method)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        if one.gradient is not None:
            one.gradient()
        if one.proximal is not None:
            one.proximal(0.1)
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            assert not bool(parameter.grad[~keep[name]].any())
            assert not bool(parameter.detach()[~keep[name]].any())
        assert same(before, state(model)) == (method == "subgradient")
