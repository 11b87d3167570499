"""A step as one CUDA graph: its kernels are recorded once and started together, which costs the host one call.

The recorded kernels are those of the eager step, so the numbers are equal, and a run may go from one to the other at
any step: graphs are in no key. What changes from step to step lies in memory that the graph reads: the batch, the
learning rate, and the seed of torch's generator, which a replay writes to the device before it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Eager steps before the recording: optimizers make their state, and libraries choose their kernels."""

Compute = Callable[[Tensor, Tensor], Tensor]
"""(inputs, targets) -> loss: all of a step that runs on the device."""


def why_eager(device: torch.device, optimizer: torch.optim.Optimizer, terms: bool, updates: bool) -> str:
    """Why a step cannot be a graph; empty if it may be."""
    if device.type != "cuda":
        return f"{device.type} has no graphs"
    if updates:
        return "its mask changes while it trains"
    if terms:
        return "its loss terms may do something else in each step"
    groups: list[dict[str, Any]] = optimizer.param_groups
    if not all(group.get("fused") and group.get("capturable", True) for group in groups):
        return "its optimizer is not fused and capturable"
    return ""


class GraphedStep:
    """Called like the eager step. The first calls are eager, on a stream of their own; then it is recorded.

    Attributes:
        why_eager: why it was not recorded after all; empty if it was, or may still be.
    """

    def __init__(self, compute: Compute, optimizer: torch.optim.Optimizer) -> None:
        self.why_eager = ""
        self._compute, self._optimizer = compute, optimizer
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = 0

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """See Compute."""
        if self.why_eager:
            return self._compute(inputs, targets)
        if self._warm < WARM_UP:
            self._warm += 1
            return self._aside(inputs, targets)
        if self._graph is None and not self._record(inputs, targets):
            return self._compute(inputs, targets)
        assert self._graph is not None
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._graph.replay()
        return self._loss.clone()  # the next replay writes over it

    def _aside(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """On another stream than the default one, which cannot be recorded."""
        stream, here = torch.cuda.Stream(inputs.device), torch.cuda.current_stream(inputs.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            loss = self._compute(inputs, targets)
        here.wait_stream(stream)
        loss.record_stream(here)
        return loss

    def _record(self, inputs: Tensor, targets: Tensor) -> bool:
        """Record a step, which does not carry it out. False, with the reason noted, if something in it cannot be."""
        self._inputs, self._targets = inputs.clone(), targets.clone()
        self._optimizer.zero_grad()  # gradients then lie in the graph's own memory
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._loss = self._compute(self._inputs, self._targets)
        except RuntimeError as error:
            torch.cuda.synchronize(inputs.device)
            self._optimizer.zero_grad()
            self.why_eager = f"it cannot be recorded ({str(error).partition(chr(10))[0]})"
            return False
        self._graph = graph
        return True
