"""The graph of a network, from one pass on a copy: the network itself is neither run nor changed.

The copy lives on the CPU with weights of its own, always the same for a network: what is found does not depend on the
values or the device of the original, which may have neither (the meta device).

Source: Fang et al. 2023 (DepGraph), whose dependency graph this is.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunebench import CannotTakePart, PlanError
from prunebench.kernels.identity import canonical_names, retied
from prunebench.kernels.networks import copied


def twin(model: nn.Module, inputs: Tensor) -> tuple[nn.Module, Tensor]:
    """A copy in evaluation mode on the CPU, with weights drawn from one fixed stream, and the inputs in its type.

    Both are fp64, so that rounding cannot be taken for a difference; fp32 if the network makes tensors of that type
    itself. Inputs that are no floats stay as they are. Batch norm gets the statistics of `inputs`, so that no layer
    fades or explodes.

    Raises: CannotTakePart, naming the module and the reason, if the network does not take the inputs.
    """
    try:
        return _twin(model, inputs, torch.float64)
    except PlanError:
        return _twin(model, inputs, torch.float32)


def _twin(model: nn.Module, inputs: Tensor, dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    drawn = torch.Generator(device="cpu").manual_seed(0)
    bare, names = copied(model), canonical_names(model)
    on_meta = any(tensor.is_meta for tensor in (*bare.parameters(), *bare.buffers()))
    made = (bare.to_empty(device="cpu") if on_meta else bare.to("cpu")).to(dtype).eval().requires_grad_(True)
    retied(made, names)
    taken = inputs.to(dtype) if inputs.is_floating_point() else inputs
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            _fill(name, parameter, drawn)
        for module in made.modules():
            _reset_buffers(module, drawn)
        norms = [m for m in made.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.train().momentum = 1.0
        with naming_the_module(made, "run"):
            made(taken)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval().momentum = momentum
            if norm.running_var is not None:
                norm.running_var.clamp_(min=0.05)
    return made, taken


def graph(network: nn.Module, inputs: Tensor) -> Any:
    """Torch-Pruning's DependencyGraph of a network.

    Raises: CannotTakePart, naming the module and the reason, if it cannot be traced.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_pruning.dependency import DependencyGraph

        with torch.enable_grad(), naming_the_module(network, "traced"):
            return DependencyGraph().build_dependency(network, inputs, forward_fn=lambda net, x: net(x), verbose=False)


@contextmanager
def naming_the_module(network: nn.Module, verb: str) -> Iterator[None]:
    """Turn an error inside into a CannotTakePart that names the module that was at work."""
    entered: list[str] = []

    def enter(name: str) -> Any:
        def hook(module: nn.Module, inputs: Sequence[Any]) -> None:
            entered.append(name)

        return hook

    def leave(module: nn.Module, inputs: Sequence[Any], outputs: Any) -> None:
        entered.pop()

    handles: list[Any] = []
    for name, module in network.named_modules():
        handles += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    try:
        yield
    except Exception as error:
        at = f'module "{entered[-1]}"' if entered and entered[-1] else "the network"
        raise CannotTakePart(
            f"channels: {type(network).__name__} cannot be {verb}: {at}: {type(error).__name__}: {error}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()


def _fill(name: str, parameter: Tensor, drawn: torch.Generator) -> None:
    noise = torch.randn(parameter.shape, generator=drawn, device="cpu")
    if parameter.ndim > 1:
        parameter.copy_(noise * math.sqrt(2 / max(1, parameter[0].numel())))
    elif name.endswith("bias"):
        parameter.copy_(0.3 * noise)
    else:
        parameter.copy_(1 + 0.2 * noise.clamp(-2, 2))


def _reset_buffers(module: nn.Module, drawn: torch.Generator) -> None:
    if isinstance(module, _BatchNorm):
        module.reset_running_stats()
        return
    for buffer in module.buffers(recurse=False):
        if buffer.is_floating_point():
            buffer.copy_(torch.rand(buffer.shape, generator=drawn, device="cpu") + 0.5)
        else:
            # An index into a table: the first row always exists.
            buffer.zero_()
