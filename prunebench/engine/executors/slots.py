"""Slots: the places where pieces of work are done at the same time, each a worker process with a share of a device."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prunebench.api.errors import ConfigError, nearest
from prunebench.engine.environment import accelerators, device_of, fingerprint
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.store.environment import Environment

CONTEXT_BYTES = 2**30
"""Memory of a CUDA device that a process takes for its context and kernels, before its first tensor; measured 0.5 GiB
with torch 2.x, and twice that with cuDNN's and cuBLAS's workspaces."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Slot:
    """A place for one worker process.

    Args:
        device: as the worker calls it: the only CUDA device that it sees is its "cuda".
        variables: of the worker's environment, set before it imports anything that reads them.
        environment: that it computes in; None where the worker finds out.
        does: "all" work; what needs a "device", or what the "processor" does.
    """

    device: str
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None
    does: str = "all"

    def serves(self, resources: Resources) -> bool:
        """Whether work that needs this may be done here."""
        if self.does != "all" and (self.does == "device") != (resources.device > 0):
            return False
        wanted = resources.environment
        return wanted is None or (self.environment is not None and self.environment.id == wanted)


def capacity_of(slots: Sequence[Slot]) -> list[Capacity]:
    """The environments of slots that do what needs a device, the one with the most slots first."""
    known = {slot.environment.id: slot.environment for slot in slots if slot.environment is not None}
    counts = Counter(slot.environment.id for slot in slots if slot.environment is not None and slot.does != "processor")
    return [Capacity(known[name], count) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def devices_here(devices: Sequence[str] | str) -> list[str]:
    """The devices of this machine that a file names: "all" are its CUDA devices, or the processor without any.

    Raises:
        ConfigError: one that is not there, or is named twice.
    """
    count = cuda_devices()
    known = ["cpu", *(f"cuda:{number}" for number in range(count))]
    if isinstance(devices, str):
        return known[1:] or ["cpu"]
    errors = []
    found: list[str] = []
    for place, name in enumerate(devices):
        full = "cuda:0" if name == "cuda" else name
        if full.startswith("cuda") and full not in known:
            there = f"there are {', '.join(known)}" if count else "torch sees no CUDA device"
            errors.append(f'execution.devices[{place}]: no device "{name}" here: {there}')
        elif full not in known and not _torch_has(full):
            errors.append(f'execution.devices[{place}]: torch knows no device "{name}".{nearest(name, known)}')
        elif full in found:
            errors.append(f'execution.devices[{place}]: "{name}" is named twice; `slots` has several workers share it')
        found.append(full)
    if errors:
        raise ConfigError(errors)
    return found


def slots_on(devices: Sequence[str], slots: int | None, threads: int) -> list[Slot]:
    """So many slots on each device, and beside CUDA devices as many for what the processor does, if it has the cores.

    Args:
        slots: on each device; by default one on a CUDA device, and on the processor one for so many cores as a worker
            has threads.
    Raises:
        ConfigError: a device has no place for so many.
    """
    cores = max(1, len(os.sched_getaffinity(0)) // threads)
    made: list[Slot] = []
    for device in devices:
        on_cuda = device.startswith("cuda")
        count = slots or (1 if on_cuda or device != "cpu" else cores)
        allowed, why = _allowed(device, cores, threads)
        if count > allowed:
            raise ConfigError([f"execution.slots: {count} on {device}, and it allows {allowed}: {why}"])
        environment = fingerprint(device, threads)
        variables = {VISIBLE: physical(device)} if on_cuda else {}
        slot = Slot("cuda" if on_cuda else device, variables, environment, "device" if on_cuda else "all")
        made += [slot] * count
        if on_cuda:
            beside = Slot("cpu", {VISIBLE: ""}, environment, "processor")
            made += [beside] * max(1, min(count, cores // len(devices)))
    return made


def physical(device: str) -> str:
    """What CUDA_VISIBLE_DEVICES must be for a process that is to see this one device alone."""
    number = int(device.partition(":")[2] or 0)
    visible = os.environ.get(VISIBLE)
    # Of those that this process sees itself, which may be named by number or by an id.
    return str(number) if visible is None else visible.split(",")[number].strip()


def cuda_devices() -> int:
    """How many CUDA devices this process sees."""
    if not accelerators():
        return 0
    import torch

    return torch.cuda.device_count()


def _torch_has(name: str) -> bool:
    from prunebench.api.errors import PrunebenchError

    try:
        device_of(name)
    except PrunebenchError:
        return False
    return True


def _allowed(device: str, cores: int, threads: int) -> tuple[int, str]:
    """How many slots a device allows, and why not more."""
    if device.startswith("cuda"):
        memory = _cuda_memory(device)
        why = f"each worker takes about {CONTEXT_BYTES / 2**30:.0f} GiB of its {memory / 2**30:.0f} GiB for itself"
        return max(1, memory // CONTEXT_BYTES), why
    if device == "cpu":
        return cores, f"this process may use {len(os.sched_getaffinity(0))} cores, and a worker has {threads} threads"
    return 1, "only the processor and CUDA devices are shared"


def _cuda_memory(device: str) -> int:
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)
