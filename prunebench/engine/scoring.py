"""A score that reads no data, asked while planning for what it says of the network alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prunebench.api.errors import CannotTakePart
from prunebench.api.random import Streams
from prunebench.components.interrupts import is_ctrl_c
from prunebench.components.managers import run_manager
from prunebench.components.time_limit import limited
from prunebench.plan.scoring import Scoring

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.masks import Units
    from prunebench.api.task import Task


def ask(one: Scoring, build: Callable[[str], nn.Module]) -> None:
    """Ask a score for a fresh network's channels, on the meta device; no number is read.

    What else it fails with may be for want of values, or of what earlier runs left, and one that takes long is no fault
    of the file. It has the network for itself: a score that stops half-way may leave it changed.

    Args:
        build: gives the network on a device.
    Raises: CannotTakePart if it cannot score them.
    """
    try:
        limited(lambda: _ask(one, build("meta").eval()))
    except CannotTakePart:
        raise
    except BaseException as error:
        if is_ctrl_c(error):
            raise


def _ask(one: Scoring, model: nn.Module) -> None:
    task: Task = run_manager([one.task]).hook.prunebench_task(label_smoothing=0.0)
    units: Units = run_manager([one.units]).hook.prunebench_units(
        model=model, data_info=one.data, example=task.example(one.data)
    )
    if not any(units.members()):
        return  # single weights are all alike: there is nothing in the network that a score may refuse
    run_manager([one.score]).hook.prunebench_score(
        model=model, data=None, task=task, units=units, mask=None, inputs={}, rng=Streams(0).rng("score")
    )
