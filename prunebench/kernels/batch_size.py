"""How many examples pass through a network at a time, by the size of what it computes on the way.

A tensor inside a network that is larger than the processor's cache is written to memory and read again, and on a CPU
the system hands its pages out anew for each: ResNet-20 on 1,000 images of CIFAR-10 takes 2.3 times as long as on 50 at
a time, most of it in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

LARGEST = {"cpu": 2**19}
"""Numbers that the largest tensor inside the network may hold at a time: on a CPU a batch should stay in its cache."""

LARGEST_ELSEWHERE = 2**26
LEAST = 16
"""Examples at a time, at least."""


def batch_for(network: nn.Module, example: Tensor) -> int:
    """Examples at a time for which the largest tensor that a module gives has a size that the device likes.

    Args:
        example: one of them, on the device; the network is called with it, in the mode that it is in.
    """
    largest = example.numel()

    def look(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel())

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return max(LEAST, LARGEST.get(example.device.type, LARGEST_ELSEWHERE) // largest)


def in_parts(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network in evaluation mode, called with a large batch a few examples at a time: the same outputs, one tensor.

    Bit-equal to the whole batch wherever it was looked at: no part has fewer than LEAST examples. How many it has is
    found out when it is first called.
    """
    most = 0

    def called(inputs: Tensor) -> Tensor:
        nonlocal most
        most = most or batch_for(network, inputs[:1])
        # Parts of `most` to twice that, and none smaller: matrix products of a few rows round differently.
        parts = len(inputs) // most
        if parts <= 1:
            outputs: Tensor = network(inputs)
            return outputs
        return torch.cat([network(part) for part in torch.tensor_split(inputs, parts)])

    return called
