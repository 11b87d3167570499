"""A network without the channels that a mask removes computes what the masked network does."""

from __future__ import annotations

import copy
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunebench.api.masks import Mask
from prunebench.testing.data import some_mask
from prunebench_plugins.units._channel_units import ChannelUnits
from prunebench_plugins.units.channels import Channels, ChannelsConfig
from prunebench_plugins.units.timm_networks import data_info, network

NETWORKS = [
    "resnet18",
    "resnet50",
    "regnetx_002",
    "regnety_002",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "efficientnet_b0",
    "densenet121",
    "vgg11_bn",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "cifar_resnet20",
    "cifar_resnet20 ",
    "cifar_vgg16",
    "lenet_300_100",
    "conv2",
]
ARGUMENTS = {"vgg11_bn": {"mlp_ratio": 0.1}}
"""Its classifier of 4,096 features has nothing of its own to show, and takes most of the time."""


def images(name: str) -> Tensor:
    return torch.randn(4, *data_info(name).shape, generator=torch.Generator().manual_seed(7))


def trained(name: str) -> nn.Module:
    """A network whose biases, scales and statistics are not those that it began with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = network(name, **ARGUMENTS.get(name, {}))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if parameter.ndim == 1:
                    parameter.copy_(torch.randn_like(parameter) * 0.3 + (0.0 if key.endswith("bias") else 1.0))
            norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
            model.eval()
            for norm in norms:
                norm.train().momentum = 1.0
            model(images(name))
            for norm in norms:
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean += 0.1 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
                norm.running_var.mul_(torch.rand_like(norm.running_var) + 0.7).clamp_(min=0.1)
    return model.eval()


def example(name: str) -> Tensor:
    return torch.zeros(1, *data_info(name).shape)


@lru_cache(maxsize=1)
def case(name: str) -> tuple[nn.Module, ChannelUnits]:
    model = trained(name)
    return model, Channels(ChannelsConfig()).prunebench_units(
        model, data_info(name), torch.zeros(1, *data_info(name).shape)
    )


def masked(model: nn.Module, units: ChannelUnits, mask: Mask) -> nn.Module:
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)
    return model


def of_density(units: ChannelUnits, density: float) -> Mask:
    """A random mask; one unit of each layer stays."""
    flat = some_mask(units, round(density * units.count), name=f"density-{density}").flat()
    flat[[layer.start for layer in units.layers]] = True
    return Mask.from_flat(flat, units.layers)


def same(a: Tensor, b: Tensor) -> bool:
    a, b = a.detach(), b.detach()
    return float((a - b).abs().max()) <= 1e-5 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("density", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_small_network_computes_what_the_masked_one_does(name: str, density: float) -> None:
    model, units = case(name)
    mask = of_density(units, density)
    zeroed, small = masked(model, units, mask), units.shrink(model, mask)
    with torch.no_grad():
        expected = zeroed(images(name))
        assert same(small(images(name)), expected)
        assert not same(model(images(name)), expected), "the mask does nothing"
    removed = sum(int((~keep).sum()) for keep in units.expand(mask).values())
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, small))
    assert after == before - removed


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "densenet121", "regnetx_002", "vit_tiny_patch16_224"])
def test_planning_and_training_see_the_same_units(name: str) -> None:
    try:
        with torch.device("meta"):
            planned = network(name, **ARGUMENTS.get(name, {}))
    except NotImplementedError as error:  # torch 2.8 lacks `unique` there, and planning builds the network itself
        pytest.skip(str(error).partition(".")[0])
    found = Channels(ChannelsConfig()).prunebench_units(
        planned, data_info(name), torch.zeros(1, *data_info(name).shape)
    )
    units = Channels(ChannelsConfig()).prunebench_units(
        network(name), data_info(name), torch.zeros(1, *data_info(name).shape)
    )
    assert found.layers == units.layers
    assert found.excluded == units.excluded
    for owned, again in zip(found.members(), units.members(), strict=True):
        assert [(m.parameter, m.dim, m.role) for m in owned] == [(m.parameter, m.dim, m.role) for m in again]
        assert all(torch.equal(m.indices, n.indices) for m, n in zip(owned, again, strict=True))


@pytest.mark.parametrize("name", ["resnet18", "regnety_002", "vit_tiny_patch16_224"])
def test_the_small_network_trains_as_the_masked_one_does(name: str) -> None:
    model, units = case(name)
    mask = of_density(units, 0.5)
    # The statistics of four images amplify what fp32 rounds.
    zeroed, small = masked(model, units, mask).double().train(), units.shrink(model, mask).double().train()
    outputs = zeroed(images(name).double()), small(images(name).double())
    assert same(*outputs)
    for output in outputs:
        output.square().sum().backward()
    classifier = [net.get_classifier().weight.grad for net in (zeroed, small)]  # type: ignore[operator]
    assert all(p.grad is not None for p in small.parameters())
    rows = classifier[0].abs().sum(0).sort().values
    assert same(classifier[1].abs().sum(0).sort().values, rows[-classifier[1].shape[1] :])


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "regnetx_002", "vit_tiny_patch16_224", "conv2"])
def test_a_layer_of_which_nothing_is_left_is_a_channel_of_zeros(name: str) -> None:
    model = trained(name)
    units = Channels(ChannelsConfig(keep_at_least=0)).prunebench_units(
        model, data_info(name), torch.zeros(1, *data_info(name).shape)
    )
    assert {layer.floor for layer in units.layers} == {0}
    flat = of_density(units, 0.5).flat()
    gone = units.layers[len(units.layers) // 2]
    flat[gone.start : gone.start + gone.count] = False
    mask = Mask.from_flat(flat, units.layers)
    small = units.shrink(model, mask)
    with torch.no_grad():
        assert same(small(images(name)), masked(model, units, mask)(images(name)))
    assert (
        gone.kind == "heads" or 1 <= small.get_parameter(gone.name).shape[0] < model.get_parameter(gone.name).shape[0]
    )


def test_everything_may_collapse() -> None:
    model, _ = case("resnet18")
    units = Channels(ChannelsConfig(keep_at_least=0)).prunebench_units(
        model, data_info("resnet18"), torch.zeros(1, *data_info("resnet18").shape)
    )
    nothing = Mask(tuple(torch.zeros(layer.count, dtype=torch.bool) for layer in units.layers))
    with torch.no_grad():
        out = units.shrink(model, nothing)(images("resnet18"))
        assert same(out, masked(model, units, nothing)(images("resnet18")))
    assert bool((out == out[0]).all()), "only the classifier's bias is left"


def test_statistics_of_batch_norm_go_with_their_channels() -> None:
    model, units = case("resnet18")
    mask = of_density(units, 0.5)
    small = units.shrink(model, mask)
    (index,) = [i for i, layer in enumerate(units.layers) if layer.name == "layer1.0.conv1.weight"]
    for statistic in ("running_mean", "running_var"):
        before = model.get_buffer(f"layer1.0.bn1.{statistic}")
        assert torch.equal(small.get_buffer(f"layer1.0.bn1.{statistic}"), before[mask.keep[index]])


def test_a_smaller_network_knows_its_sizes() -> None:
    model, units = case("regnety_002")
    small = units.shrink(model, of_density(units, 0.5))
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.shape[:2] == (module.out_channels, module.in_channels // module.groups)
            assert module.out_channels % module.groups == 0
        elif isinstance(module, _BatchNorm):
            assert module.running_mean is not None
            assert module.running_mean.numel() == module.num_features == module.weight.numel()


def test_an_attention_knows_how_many_heads_it_has_left() -> None:
    model, units = case("vit_tiny_patch16_224")
    flat = torch.ones(units.count, dtype=torch.bool)
    heads = next(layer for layer in units.layers if layer.kind == "heads")
    assert (heads.name, heads.count) == ("blocks.0.attn.qkv.weight", 3)
    flat[heads.start + 1] = False
    small = units.shrink(model, Mask.from_flat(flat, units.layers))
    attention = small.get_submodule("blocks.0.attn")
    assert (attention.num_heads, attention.attn_dim) == (2, 128)
    assert small.get_parameter("blocks.0.attn.qkv.weight").shape == (3 * 128, 192)
    assert torch.equal(
        small.get_parameter("blocks.0.attn.proj.weight"),
        model.get_parameter("blocks.0.attn.proj.weight")[:, [*range(64), *range(128, 192)]],
    )
    assert small.get_submodule("blocks.1.attn").num_heads == 3
