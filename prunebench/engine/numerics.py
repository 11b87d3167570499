"""What a step computes in: float32, TF32 or bfloat16; how images lie in memory; whether the network is compiled.

Only the forward pass, and the backward pass that belongs to it, is computed in anything else than float32. The
objective sees float32 outputs; weights, masks, gradients as the optimizer sees them, its state, scores and everything
that is measured are float32, computed by the network as it is. See docs/decisions/0033-numerics-are-declared.md.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prunebench.api.errors import ContractError
from prunebench.plan.specs import RecipeSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def unable(numerics: str, compiled: bool, device: str) -> str:
    """Why a recipe cannot be trained on a device of this machine, and what to do; empty if it can."""
    kind = device.partition(":")[0]
    if numerics == "tf32" and kind != "cuda":
        return f'numerics = "tf32": {device} has no TF32, CUDA devices have; write "float32" or "bf16"'
    if numerics == "tf32" and not _has_tf32(device):
        return f'numerics = "tf32": {device} is older than TF32 (compute capability 8.0); write "float32"'
    if numerics == "bf16" and kind not in ("cpu", "cuda"):
        return f'numerics = "bf16": not for {device}; write "float32"'
    if compiled and kind == "cpu" and _compiler() is None:
        return "compile = true: torch.compile needs a C++ compiler here; install g++, name one in $CXX, or leave it out"
    if compiled and kind == "cuda" and not _has_triton():
        return "compile = true: torch.compile needs Triton for CUDA; install triton, or leave it out"
    if compiled and kind not in ("cpu", "cuda"):
        return f"compile = true: not for {device}; leave it out"
    return ""


def laid_out(model: nn.Module, recipe: RecipeSpec) -> nn.Module:
    """The same network with its weights in the memory format of a recipe. Masks and optimizer state follow weights."""
    import torch

    if recipe.memory_format == "channels_last":
        model.to(memory_format=torch.channels_last)
    return model


def forward_of(model: nn.Module, recipe: RecipeSpec) -> Callable[[Tensor], Tensor]:
    """What a step calls instead of the network: inputs -> float32 outputs, computed as the recipe says.

    Raises:
        ContractError: when it is first called, for a network that cannot be compiled as a whole.
    """
    import torch

    network = _compiled(model) if recipe.compile else model
    if recipe.memory_format == "channels_last":
        network = _last(network)
    if recipe.numerics == "bf16":
        kind = next(model.parameters()).device.type

        def forward(inputs: Tensor) -> Tensor:
            with torch.autocast(kind, torch.bfloat16):
                outputs: Tensor = network(inputs)
            return outputs.float()

        return forward
    return network


@contextmanager
def matrix_products(numerics: str, device: torch.device) -> Iterator[None]:
    """Within it, matrix products and convolutions may use TF32 if `numerics` says so."""
    import torch

    if numerics != "tf32" or device.type != "cuda":
        yield
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def _last(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    import torch

    def forward(images: Tensor) -> Tensor:
        return network(images.contiguous(memory_format=torch.channels_last))

    return forward


def _compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network through torch.compile, whole: a part that silently stayed as it was would not be what the key says.

    Whatever was compiled before is forgotten, so that a run does not depend on what the process trained earlier.
    """
    import torch
    from torch._dynamo.exc import TorchDynamoException

    torch._dynamo.reset()
    # A worker may have no children but those that it waits for.
    torch._inductor.config.compile_threads = 1
    network = torch.compile(model, fullgraph=True, dynamic=False)

    def forward(inputs: Tensor) -> Tensor:
        try:
            outputs: Tensor = network(inputs)
        except TorchDynamoException as error:
            first = str(error).strip().partition("\n")[0]
            raise ContractError(
                f"compile = true: {type(model).__name__} cannot be compiled as a whole ({first}); leave `compile` out"
            ) from error
        return outputs

    return forward


def _compiler() -> str | None:
    return next(
        (found for name in (os.environ.get("CXX"), "g++", "clang++") if name and (found := shutil.which(name))), None
    )


def _has_triton() -> bool:
    from importlib.util import find_spec

    return find_spec("triton") is not None


def _has_tf32(device: str) -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.get_device_capability(device) >= (8, 0)
