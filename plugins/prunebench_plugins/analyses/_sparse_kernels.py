"""Layers with their weight in compressed sparse rows, and a network with the faster kernel of each. CPU only."""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunebench import ContractError, PlanError
from prunebench.kernels.calibration import columns

CLOSE = 1e-3
"""How far outputs may lie apart, as a share of the largest: sums are taken in another order."""


def rows_of(matrix: Tensor) -> Tensor:
    """A matrix in compressed sparse rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return matrix.to_sparse_csr()


class CsrLinear(nn.Module):
    """A linear layer: the sparse weight times the transposed input."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = rows_of(layer.weight.detach()), layer.bias
        self.outputs = layer.out_features

    def forward(self, taken: Tensor) -> Tensor:
        """As nn.Linear."""
        product = (self.weight @ taken.reshape(-1, taken.shape[-1]).T.contiguous()).T
        product = product.reshape(*taken.shape[:-1], self.outputs)
        return product if self.bias is None else product + self.bias


class CsrConv2d(nn.Module):
    """A convolution in one group: the sparse weight, a row for each output channel, times the patches."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = rows_of(layer.weight.detach().flatten(1)), layer.bias
        self.how: dict[str, Any] = {
            "kernel": layer.kernel_size,
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": 1,
        }

    def forward(self, taken: Tensor) -> Tensor:
        """As nn.Conv2d."""
        how, batch = self.how, len(taken)
        along = zip(taken.shape[2:], how["kernel"], how["stride"], how["padding"], how["dilation"], strict=True)
        height, width = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, padding, dilation in along
        )
        # One product for the whole batch, whose columns are copied once: (outputs, batch * places).
        product = self.weight @ columns(torch.conv2d, taken, self.how)[0].contiguous()
        outputs = product.reshape(-1, batch, height, width).transpose(0, 1)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]


def sparse(layer: nn.Module) -> nn.Module | None:
    """The layer with a sparse kernel; None where there is none for it."""
    if type(layer) is nn.Linear:
        return CsrLinear(layer)
    if (
        type(layer) is nn.Conv2d
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and type(layer.padding) is tuple
    ):
        return CsrConv2d(layer)
    return None


def with_best_kernels(model: nn.Module, taken: Tensor, repeats: int, warm: int) -> tuple[nn.Module, int, int]:
    """A copy of a network in which each layer has the kernel that was faster on its own input.

    Returns: the copy, in how many layers the sparse kernel is used, and how many could have used it.
    Raises:
        PlanError: the network is not on a CPU.
        ContractError: the copy gives other outputs.
    """
    if taken.device.type != "cpu":
        raise PlanError(f'cost: kernels: "csr" is measured on a CPU, and not on {taken.device}; write device = "cpu"')
    best, inputs = copy.deepcopy(model), dict[str, Tensor]()
    handles = [
        module.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0].clone()}))
        for name, module in best.named_modules()
        if type(module) in (nn.Linear, nn.Conv2d)
    ]
    with torch.inference_mode():
        expected = best(taken)
        for handle in handles:
            handle.remove()
        used = of = 0
        for name, given in inputs.items():
            layer = best.get_submodule(name)
            other = sparse(layer)
            if other is None:
                continue
            of += 1
            if timed(other, given, repeats, warm) < timed(layer, given, repeats, warm):
                used += 1
                around, _, last = name.rpartition(".")
                setattr(best.get_submodule(around), last, other)
        apart = float((best(taken) - expected).abs().max())
    if not apart <= CLOSE * float(expected.abs().max()):
        raise ContractError(
            f"cost: with sparse kernels the network's outputs are {apart:g} from those of the masked one"
        )
    return best, used, of


def timed(run: Callable[[Tensor], Any], given: Tensor, repeats: int, warm: int) -> float:
    """The median time of a call, in seconds."""
    times = []
    for _ in range(warm + repeats):
        begin = time.perf_counter()
        run(given)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[warm:])
