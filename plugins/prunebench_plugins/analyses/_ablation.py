"""Ablation in place: chosen weights of a network are zero for a while, then what they were, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ablation:
    """The surviving weights of a network, numbered tensor by tensor and in row-major order, in one buffer.

    Args:
        network: its parameters become views of the buffer.
        alive: for each parameter that is ablated, which of its weights are numbered.
    """

    def __init__(self, network: nn.Module, alive: Mapping[str, Tensor]) -> None:
        parameters = {name: network.get_parameter(name) for name in alive}
        first = next(iter(parameters.values()))
        total = sum(parameter.numel() for parameter in parameters.values())
        self._buffer = torch.empty(total, dtype=first.dtype, device=first.device)
        order = torch.arange(total)
        places, start = [], 0
        for name, parameter in parameters.items():
            # The parameter's own strides: its weights keep the layout that its layer computes fastest with.
            layout = parameter.shape, parameter.stride(), start
            own = torch.as_strided(self._buffer, *layout)
            own.copy_(parameter.detach())
            parameter.data = own
            places.append(torch.as_strided(order, *layout)[alive[name].cpu()])
            start += parameter.numel()
        self._places = torch.cat(places).to(first.device)
        self._master = self._buffer.clone()

    @property
    def count(self) -> int:
        """How many weights are numbered."""
        return self._places.numel()

    @contextmanager
    def without(self, chosen: Tensor) -> Iterator[None]:
        """The network without some of the numbered weights; afterwards they are copied back from the master.

        Args:
            chosen: int64 numbers, distinct, from 0 to `count` - 1.
        """
        places = self._places[chosen.to(self._places.device)]
        self._buffer.index_fill_(0, places, 0.0)
        try:
            yield
        finally:
            # Adding back what was taken away would round.
            self._buffer.index_copy_(0, places, self._master[places])
