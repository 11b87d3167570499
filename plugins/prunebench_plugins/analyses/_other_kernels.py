"""What a whole network is timed in beside torch's dense kernels: ONNX Runtime, and a GPU's 2:4 tensor cores."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench import ContractError
from prunebench.kernels.onnx_networks import run_of, why_no_onnx, write_onnx

CLOSE: Mapping[str, float] = {"onnxruntime": 1e-3, "2:4": 1e-2}
"""How far outputs may lie apart, as a share of the largest: sums are taken in another order, and in half precision."""


@dataclass(frozen=True)
class Prepared:
    """A network in another runtime.

    Args:
        run: a batch to its outputs, as a tensor.
        dense: the same without what makes it faster, in the same runtime and precision.
        said: what a reader must know of it, for the unit.
    """

    run: Callable[[Tensor], Any]
    dense: Callable[[Tensor], Any]
    said: str = ""


def no_onnx(device: torch.device) -> str:
    """Why ONNX Runtime is not timed; empty if it is."""
    if device.type != "cpu":
        return f"ONNX Runtime is timed on a CPU, and not on {device}"
    return why_no_onnx()


def in_onnx(model: nn.Module, example: Tensor) -> Prepared:
    """A network in ONNX Runtime, with as many threads as torch has."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(model, torch.cat([example, example]), file)
        run = run_of(file, torch.get_num_threads())

    def outputs(taken: Tensor) -> Tensor:
        return torch.from_numpy(run(taken.numpy()))

    return Prepared(outputs, outputs)


def no_tensor_cores(device: torch.device) -> str:
    """Why 2:4 kernels are not timed; empty if they are."""
    if device.type != "cuda":
        return f"2:4 kernels are a GPU's, and this is on {device}"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "2:4 kernels need a GPU of capability 8.0"
    return ""


def with_tensor_cores(model: nn.Module, example: Tensor) -> Prepared:
    """A network in half precision, with sparse tensor cores in the linear layers whose weights have 2:4."""
    from torch.sparse import to_sparse_semi_structured

    dense = copy.deepcopy(model).half()
    other, used = copy.deepcopy(dense), 0
    for layer in other.modules():
        if type(layer) is nn.Linear and two_of_four(layer.weight):
            with torch.no_grad():
                layer.weight = nn.Parameter(to_sparse_semi_structured(layer.weight), requires_grad=False)
            used += 1
    return Prepared(lambda x: other(x.half()), lambda x: dense(x.half()), f"2:4 in {used} layers, half precision, ")


def two_of_four(weight: Tensor) -> bool:
    """Whether a matrix has two of every four neighbours of a row at most, and a size that the kernels take."""
    if weight.shape[0] % 64 or weight.shape[1] % 64:
        return False
    return bool((weight.detach().reshape(-1, 4).count_nonzero(1) <= 2).all())


def near(kernel: str, other: Prepared, model: nn.Module, taken: Tensor) -> None:
    """Nothing if both give the same outputs.

    Raises:
        ContractError: they do not.
    """
    with torch.inference_mode():
        expected, found = model(taken), other.run(taken).float()
    apart = float((found - expected).abs().max())
    if not apart <= CLOSE[kernel] * float(expected.abs().max()):
        raise ContractError(f"cost: with {kernel} the network's outputs are {apart:g} from those of the masked one")


KERNELS: Mapping[str, tuple[Callable[[torch.device], str], Callable[[nn.Module, Tensor], Prepared], str]] = {
    "onnxruntime": (no_onnx, in_onnx, "ONNX Runtime"),
    "2:4": (no_tensor_cores, with_tensor_cores, "torch"),
}
"""By name: why it cannot be timed on a device, how a network is brought there, and what it is called."""
