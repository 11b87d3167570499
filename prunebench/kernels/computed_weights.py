"""Weights that a network computes from its parameters before it uses them: weight norm, spectral norm, and others.

Such a weight can be pruned through the parameter that it is computed from if zeros of the one are zeros of the other,
as under spectral norm, which only scales. Under others a parameter of zero is no weight of zero (an orthogonal matrix,
a convolution that standardises its weight), or zeros become NaN (weight norm divides a filter by its length, so one of
which all is pruned by zero). Which holds is found by trial, on random values, and not from a list of names.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

LAYERS = (_ConvNd, nn.Linear)
"""What weights are pruned of unless more is asked for."""
_OWN = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear),
    nn.modules.linear.NonDynamicallyQuantizableLinear,
)
"""Classes whose pass is known to use the weight as it is."""


@dataclass(frozen=True)
class Computed:
    """A weight that is computed from parameters.

    Args:
        layer: the module that has it.
        attribute: what it is called there, such as "weight".
        parameter: the qualified name of the parameter whose zeros are the weight's, of the same shape; None if there is
            none.
        floor: how many of its values must stay; 1 where a weight of zeros alone cannot be computed.
        others: qualified names of the other parameters that it is computed from.
        how: what computes it.
        compute: gives it, as it is now; changes nothing.
    """

    layer: nn.Module
    attribute: str
    parameter: str | None
    floor: int
    others: tuple[str, ...]
    how: str
    compute: Callable[[], Tensor]


def computed_weights(model: nn.Module) -> list[Computed]:
    """All weights that are computed by parametrizations and by torch's old hooks, in the order of the network."""
    return [found for name, module in model.named_modules() for found in _of(name, module)]


def effective(model: nn.Module) -> Mapping[str, Callable[[], Tensor]]:
    """What gives the weight that is used, by the name of the parameter whose zeros are its zeros."""
    return {one.parameter: one.compute for one in computed_weights(model) if one.parameter is not None}


def _of(name: str, module: nn.Module) -> Iterator[Computed]:
    prefix = f"{name}." if name else ""
    if parametrize.is_parametrized(module):
        assert isinstance(module.parametrizations, nn.ModuleDict)
        for attribute, each in module.parametrizations.items():
            start = f"{prefix}parametrizations.{attribute}."
            own = {f"{start}{its}": its for its, _ in each.named_parameters()}
            assert isinstance(each, parametrize.ParametrizationList)
            zeros, floor = _whose_zeros_stay(each, lambda copied: copied())
            kept = next((full for full, its in own.items() if its == zeros), None)
            how = " and ".join(type(step).__name__.lstrip("_") for step in each)
            rest = tuple(full for full in own if full != kept)
            yield Computed(module, attribute, kept, floor, rest, how, partial(_evaluated, each))
    for hook in module._forward_pre_hooks.values():
        if hasattr(hook, "compute_weight"):
            attribute = str(getattr(hook, "name", "weight"))
            own = {
                f"{prefix}{its}": its for its, _ in module.named_parameters(recurse=False) if its in _olds(attribute)
            }
            zeros, floor = _whose_zeros_stay(module, partial(by_hook, hook), set(own.values()))
            kept = next((full for full, its in own.items() if its == zeros), None)
            rest = tuple(full for full in own if full != kept)
            yield Computed(module, attribute, kept, floor, rest, type(hook).__name__, partial(by_hook, hook, module))


def _olds(attribute: str) -> tuple[str, ...]:
    """What torch's old weight norm and spectral norm call the parameters that they make."""
    return tuple(f"{attribute}_{end}" for end in ("v", "g", "orig"))


def _evaluated(each: nn.Module) -> Tensor:
    """The weight of a parametrization as in evaluation, where spectral norm does not go on with its iteration."""
    training = [module for module in each.modules() if module.training]
    try:
        each.eval()
        with torch.no_grad():
            weight: Tensor = each()
            return weight
    finally:
        for module in training:
            module.training = True


def by_hook(hook: object, module: nn.Module) -> Tensor:
    """The weight that one of torch's old hooks computes, as it is now; changes nothing."""
    compute = hook.compute_weight  # type: ignore[attr-defined]
    with torch.no_grad():
        # Spectral norm's: without going on with its iteration.
        one_more = "do_power_iteration" in compute.__code__.co_varnames
        weight: Tensor = compute(module, do_power_iteration=False) if one_more else compute(module)
        return weight


def _whose_zeros_stay(
    module: nn.Module, compute: Callable[[nn.Module], Tensor], among: set[str] | None = None
) -> tuple[str | None, int]:
    """Which of a module's parameters has the zeros, and they alone, of what is computed from them; and its floor."""
    with torch.no_grad():
        try:
            twin = _random_twin(module)
            shape = compute(twin).shape
            names = [name for name, parameter in twin.named_parameters() if parameter.shape == shape]
            for name in names if among is None else [name for name in names if name in among]:
                parameter, before = twin.get_parameter(name), twin.get_parameter(name).clone()

                def stay(keep: Tensor, parameter: Tensor = parameter, before: Tensor = before) -> bool:
                    parameter.copy_(before * keep)
                    return torch.equal(compute(twin) != 0, keep.bool())  # NaN is not 0

                if all(stay(keep) for keep in _masks(shape)):
                    return name, 0 if stay(torch.zeros(shape, dtype=torch.float64, device="cpu")) else 1
                parameter.copy_(before)
        except Exception:  # what a foreign module raises on random values: nothing is known of it
            return None, 0
    return None, 0


def _masks(shape: torch.Size) -> Iterator[Tensor]:
    """Masks of 0 and 1: half of the elements, all but the first slice along each dimension, one element alone."""
    yield _some(shape)
    for dim, size in enumerate(shape):
        if size > 1:
            keep = torch.ones(shape, dtype=torch.float64, device="cpu")
            keep.select(dim, 0).zero_()
            yield keep
    keep = torch.zeros(shape, dtype=torch.float64, device="cpu")
    keep.view(-1)[-1:] = 1.0
    yield keep


def _random_twin(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode on the CPU in fp64, of random values that are always the same and never 0."""
    memo = {id(value): None for value in vars(module).values() if isinstance(value, Tensor)}
    twin = copy.deepcopy(module, memo)
    on_meta = any(tensor.is_meta for tensor in (*twin.parameters(), *twin.buffers()))
    twin = (twin.to_empty(device="cpu") if on_meta else twin.to("cpu")).double().eval()
    drawn = torch.Generator().manual_seed(0)
    for tensor in (*twin.parameters(), *twin.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=drawn, dtype=torch.float64, device="cpu") + 0.5
    return twin


def _some(shape: torch.Size, of: int = 2) -> Tensor:
    """A mask of 0 and 1 that keeps one of `of` elements, and at least one; always the same."""
    count = shape.numel()
    kept = torch.randperm(count, generator=torch.Generator().manual_seed(1), device="cpu")[: -(-count // of)]
    keep = torch.zeros(count, dtype=torch.float64, device="cpu")
    keep[kept] = 1.0
    return keep.view(shape)


def uses_its_weight_as_it_is(layer: nn.Module) -> bool:
    """Whether a weight of zero in a convolution or linear layer multiplies nothing.

    A class of its own may do anything with the weight, such as bring it to a mean of zero. On random values most of the
    weights are masked; an input that is 0 but for one value then changes at most as many outputs as weights of that
    value are left. Whether a layer that cannot be tried so uses them is not known, and it is taken for one that does.
    """
    if type(layer) in _OWN or not isinstance(layer, LAYERS) or parametrize.is_parametrized(layer):
        return True
    if "weight" not in layer._parameters or layer._forward_pre_hooks:
        return True
    with torch.no_grad():
        try:
            twin = _random_twin(layer)
            weight = twin.get_parameter("weight")
            keep = _some(weight.shape, of=8)
            weight.mul_(keep)
            base, changed, left = _responses(twin, keep)
        except Exception:  # it takes other inputs than its class
            return True
    return int((changed - base).abs().gt(1e-9 * float(changed.abs().max())).sum()) <= left


def _responses(layer: nn.Module, keep: Tensor) -> tuple[Tensor, Tensor, int]:
    """Outputs on zeros and on zeros with one 1, and how many weights of that one are kept."""
    if isinstance(layer, nn.Linear):
        inputs = torch.zeros(1, layer.in_features, dtype=torch.float64, device="cpu")
        one: tuple[int, ...] = (0, 0)
        left = keep[:, 0]
    else:
        assert isinstance(layer, _ConvNd)
        layer.stride = (1,) * len(layer.stride)  # else some of the weights meet no value
        # Large enough that no border comes near the middle.
        sizes = [2 * d * k + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        inputs = torch.zeros(1, layer.in_channels, *sizes, dtype=torch.float64, device="cpu")
        one = (0, 0, *(size // 2 for size in sizes))
        # The first channel is read by the filters of the first group.
        group = layer.out_channels // layer.groups
        left = keep[0] if isinstance(layer, _ConvTransposeNd) else keep[:group, 0]
    base = layer(inputs)
    inputs[one] = 1.0
    return base, layer(inputs), int(left.sum())
