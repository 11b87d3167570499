"""What the `[execution]` table of a file says of who works, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunebench.benchmark.tables import Execution
from prunebench.engine.environment import device_of
from prunebench.engine.executors.choice import Wanted, chosen
from prunebench.engine.executors.slots import capacity_of, devices_here, slots_on


def wanted_of(execution: Execution) -> Wanted:
    """How many workers a file wants, and on what."""
    return Wanted(execution.workers, execution.devices, execution.slots)


def first_device(execution: Execution) -> str:
    """The device whose environment the calling process counts as its own. Raises ConfigError if it is not there."""
    return execution.device if execution.devices is None else devices_here(execution.devices)[0]


def computes_here(execution: Execution) -> bool:
    """Whether all work is done in the environment of the calling process, which it can tell without workers."""
    return execution.devices is None and computes_on_this(execution)


def with_executor(execution: Execution, name: str) -> Execution:
    """The table with an executor in place of the file's, whose own keys stay where it is the same.

    A number of workers that the new one cannot have goes.
    """
    table = execution.executor
    if (table.get("use") if isinstance(table, Mapping) else table) == name:
        return execution
    changes: dict[str, Any] = {"executor": name}
    if name == "inline":
        changes |= dict.fromkeys(("workers", "slots"))
    elif execution.workers == 0:
        changes |= {"workers": None}
    return execution.model_copy(update=changes)


def slots_here(execution: Execution) -> int:
    """How many pieces of work are done at the same time on this machine, as far as the file says; at least one."""
    if execution.workers is not None:
        return max(1, execution.workers)
    if chosen(execution.executor, wanted_of(execution)).use == "inline" or not computes_on_this(execution):
        return 1
    devices = [device_of(execution.device)] if execution.devices is None else devices_here(execution.devices)
    return sum(one.slots for one in capacity_of(slots_on(devices, execution.slots, execution.threads)))


def computes_on_this(execution: Execution) -> bool:
    """Whether work is done on this machine."""
    return chosen(execution.executor, wanted_of(execution)).own_environment
