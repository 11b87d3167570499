"""One step of training before anything trains: forward, objective and its terms, backward, and a pass in evaluation.

On the meta device, where a step of the whole batch takes no memory and no time; a network, or a term, that looks at
values takes a small batch on the CPU. So what every run of a trial would fail with is known while planning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prunebench.api.errors import CannotTakePart, PlanError, PrunebenchError
from prunebench.api.random import Streams
from prunebench.api.untrusted_text import describe
from prunebench.components.containment import contained
from prunebench.components.interrupts import is_ctrl_c
from prunebench.components.managers import run_manager
from prunebench.components.time_limit import HookTimeout, limited
from prunebench.plan.first_step import FirstStep

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.masks import Units
    from prunebench.api.task import Task

FEW = 4
"""Examples of a batch on the CPU: norm layers refuse one alone, and what holds for a few holds for more."""
LENGTH = 400
"""Characters of what a step failed with."""


def why_it_fails(one: FirstStep, build: Callable[[str], nn.Module]) -> str:
    """What the first step of training, or of measuring, would fail with; empty if nothing.

    Args:
        build: gives the network on a device.
    """
    try:
        limited(lambda: _step(one, build("meta"), "meta", one.recipe.batch))
    except HookTimeout as error:
        return f"one step of training fails: {error}"
    except BaseException as error:  # whatever a foreign network raises: it may need values, which meta tensors have not
        if is_ctrl_c(error):
            raise
        return _why_not_on_the_cpu(one, build)
    return ""


def _why_not_on_the_cpu(one: FirstStep, build: Callable[[str], nn.Module]) -> str:
    try:
        limited(lambda: _step(one, build("cpu"), "cpu", min(one.recipe.batch, FEW)))
    except HookTimeout as error:
        return f"one step of training fails: {error}"
    except CannotTakePart:
        raise
    except PrunebenchError as error:
        return str(error)
    except BaseException as error:  # a network or a term of the loss may fail in any way, or leave the program
        if is_ctrl_c(error):
            raise
        text = " ".join(describe(error, LENGTH).split())
        return f"one step of training on a batch of {one.recipe.batch:,} fails: {text}"
    return ""


def _step(one: FirstStep, model: nn.Module, device: str, batch: int) -> None:
    import torch

    task: Task = run_manager([one.task]).hook.prunebench_task(label_smoothing=one.recipe.label_smoothing)
    example = task.example(one.data)

    def whole(tensor: Tensor) -> Tensor:
        return tensor.to(device).expand(batch, *tensor.shape[1:]).contiguous()

    units = _units(one, model, example) if one.losses else None
    run_manager([one.recipe.optimizer]).hook.prunebench_optimizer(model=model)
    terms = [
        (f"loss {loss}: its term fails", term)
        for loss in one.losses
        for answer in run_manager([loss]).hook.prunebench_loss_terms(
            model=model, data=None, task=task, units=units, mask=None, inputs={}, rng=Streams(0).rng("loss")
        )
        for term in answer
    ]
    inputs = whole(example)
    with torch.random.fork_rng(devices=[]):
        for training in (False, True):
            outputs = model.train(training)(inputs)
            misfit = task.misfit(outputs, one.data)
            if misfit:
                raise PlanError(f"in {'training' if training else 'evaluation'}, {misfit}")
        if task.targets is not None:
            targets = whole(task.targets(one.data))
            loss = task.objective(outputs, targets)
            for fails, term in terms:
                if term.loss is not None:
                    with contained(fails):
                        loss = loss + term.loss(inputs, outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            for fails, term in terms:
                if term.gradient is not None:
                    with contained(fails):
                        term.gradient()


def _units(one: FirstStep, model: nn.Module, example: Tensor) -> Units:
    units: Units = run_manager([one.units]).hook.prunebench_units(model=model, data_info=one.data, example=example)
    return units
