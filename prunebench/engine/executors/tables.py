"""The tables of the executors that prunebench brings, each behind an entry point as a stranger's would be."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Executor
from prunebench.engine.executors.choice import ExecutorTable, Wanted
from prunebench.engine.executors.memory import usable_memory
from prunebench.engine.executors.worker import WorkerConfig

MEMORY_SHARE = 0.9
"""What a worker may hold of the memory that there is, unless a file says otherwise."""


class Inline(ExecutorTable):
    """In the calling process, one piece of work after another."""

    use: Literal["inline"] = "inline"

    @property
    def imports(self) -> bool:
        """See ExecutorTable.imports."""
        return False

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        if wanted.workers:
            yield f'"inline" does not go with execution.workers = {wanted.workers}; leave one of them out'
        if (wanted.slots or 1) > 1 or (isinstance(wanted.devices, tuple) and len(wanted.devices) > 1):
            yield '"inline" computes in one process, on one device; for several write executor = "local"'

    def start(self, config: WorkerConfig, catalogue: Catalogue, wanted: Wanted) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.inline import InlineExecutor

        return InlineExecutor(config, catalogue)


class Processes(ExecutorTable):
    """What the tables of executors with worker processes have in common."""

    memory_gib: float | None = Field(None, gt=0)
    """What a worker may hold in memory; one that holds more is ended. By default 90 % of what there is."""
    silent_hours: float = Field(6.0, gt=0)
    """Work without a sign of progress for so long fails."""

    @property
    def memory(self) -> int | None:
        """See ExecutorTable.memory."""
        return None if self.memory_gib is None else int(self.memory_gib * 2**30)

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        if wanted.workers == 0:
            yield f'"{self.use}" does not go with execution.workers = 0; leave one of them out'


class Local(Processes):
    """In worker processes on this machine."""

    use: Literal["local"] = "local"

    @property
    def memory(self) -> int | None:
        """See ExecutorTable.memory."""
        usable = usable_memory()
        stated = super().memory
        return stated if stated is not None or usable is None else int(usable * MEMORY_SHARE)

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        yield from super().refusals(wanted)
        if wanted.workers is not None and wanted.devices is not None:
            yield "execution.workers and execution.devices both say how many workers there are; `slots` is for a device"
        elif wanted.workers is not None and wanted.slots is not None:
            yield "execution.workers and execution.slots both say how many workers there are; leave one of them out"

    def start(self, config: WorkerConfig, catalogue: Catalogue, wanted: Wanted) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.local import LocalExecutor
        from prunebench.engine.executors.slots import devices_here, slots_on

        if wanted.workers is not None:
            return LocalExecutor(config, wanted.workers, self.silent_hours * 3600)
        devices = [config.device] if wanted.devices is None else devices_here(wanted.devices)
        return LocalExecutor(config, slots_on(devices, wanted.slots, config.threads), self.silent_hours * 3600)


class Remote(Processes):
    """What the tables of executors on other machines have in common."""

    patience_minutes: float = Field(10.0, gt=0)
    """For so long there may be no worker before the run ends."""

    @property
    def own_environment(self) -> bool:
        """See ExecutorTable.own_environment: machines are seldom like the one that sends them work."""
        return False

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        yield from super().refusals(wanted)
        if wanted.devices is not None:
            yield f'execution.devices names devices of this machine, and "{self.use}" gives out those of others'

    def missing(self, module: str, extra: str) -> Iterable[str]:
        """The refusal where an extra is not installed."""
        if find_spec(module) is None:
            yield f'"{self.use}" needs an extra that is not installed: pip install "prunebench[{extra}]"'


class Ray(Remote):
    """In actors on a Ray cluster."""

    use: Literal["ray"] = "ray"
    address: str = "auto"
    """Of the cluster; "auto" is the one that runs here or that RAY_ADDRESS names, "local" starts one."""

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        yield from super().refusals(wanted)
        yield from self.missing("ray", "ray")

    def start(self, config: WorkerConfig, catalogue: Catalogue, wanted: Wanted) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.ray_cluster import ray_executor

        silence, patience = self.silent_hours * 3600, self.patience_minutes * 60
        return ray_executor(config, wanted.workers, wanted.slots, self.address, silence, patience)


class Submitit(Remote):
    """In Slurm jobs, which submitit submits."""

    use: Literal["submitit"] = "submitit"
    cluster: Literal["slurm", "local"] = "slurm"
    """"local" has the same in processes of this machine, to try it without Slurm."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """submitit's, such as slurm_partition, timeout_min, gpus_per_node, mem_gb."""
    folder: str | None = None
    """For messages and logs, which every machine must see; by default beside the store."""
    patience_minutes: float = Field(24 * 60.0, gt=0)
    """For so long there may be no worker before the run ends: a queue may be long."""

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """See ExecutorTable.refusals."""
        yield from super().refusals(wanted)
        if wanted.workers is None:
            yield '"submitit" submits a job for each worker; say how many with execution.workers'
        if wanted.slots is not None:
            yield '"submitit" has one worker in each job; leave execution.slots out'
        yield from self.missing("submitit", "slurm")

    def start(self, config: WorkerConfig, catalogue: Catalogue, wanted: Wanted) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.slurm_jobs import slurm_executor

        assert wanted.workers is not None
        folder = Path(f"{config.store}-jobs" if self.folder is None else self.folder).absolute()
        silence, patience = self.silent_hours * 3600, self.patience_minutes * 60
        return slurm_executor(config, wanted.workers, self.cluster, folder, self.parameters, silence, patience)
