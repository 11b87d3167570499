"""A short calibration: how long steps of a kind of training take here, from a few of them on made-up inputs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from statistics import median

import torch
from torch import Tensor, nn

from prunebench.api.errors import PrunebenchError
from prunebench.components.containment import contained
from prunebench.engine.environment import sealed_off
from prunebench.engine.pace import Pace
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import TrainSpec

STEPS = 5
"""Steps that are timed, if there is time for so many."""


def calibrated(kinds: Mapping[str, TrainSpec], workbench: Workbench, threads: int, seconds: float) -> Pace:
    """The pace of kinds of training, as far as the time goes; those that come first are measured first.

    What is timed is forward, backward and a plain update: neither reading data nor measuring, and no term of the loss.

    Args:
        kinds: a training of each kind.
        seconds: for all of them together, within a step or two.
    """
    pace = Pace()
    deadline = time.monotonic() + seconds
    for kind, spec in kinds.items():
        share = (deadline - time.monotonic()) / max(1, len(kinds) - len(pace.units))
        if share <= 0:
            break
        # A network that fails is named where it is tried and trained; here it only has no estimate.
        with suppress(PrunebenchError), contained(spec.model.use), sealed_off(str(workbench.device), threads, 0):
            model = workbench.architecture(spec.model).to(workbench.device).train()
            example = workbench.example(spec.task, spec.model).to(workbench.device)
            batch, took = _timed(model, example, spec.recipe.batch, share)
            pace.add(kind, took, batch)
    return pace


def _timed(model: nn.Module, example: Tensor, full: int, seconds: float) -> tuple[int, float]:
    """Examples and seconds of a typical step: with the recipe's batch, or a smaller one where that takes too long."""
    deadline = time.monotonic() + seconds
    batch = min(full, 2)  # one example alone has no statistics for a batch norm
    took = _step(model, example, batch)  # it also warms up
    while batch < full and time.monotonic() + 8 * took < deadline:
        batch = min(full, 4 * batch)
        took = _step(model, example, batch)
    found = [took]
    while len(found) < STEPS and time.monotonic() + took < deadline:
        found.append(_step(model, example, batch))
    # The first step at a size pays for it.
    return batch, median(found[1:] or found)


def _step(model: nn.Module, example: Tensor, batch: int) -> float:
    inputs = example.expand(batch, *example.shape[1:]).contiguous()
    began = time.monotonic()
    outputs = model(inputs)
    outputs.float().square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=1e-6)
                parameter.grad = None
    if inputs.is_cuda:
        torch.cuda.synchronize(inputs.device)
    return time.monotonic() - began
