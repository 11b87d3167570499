"""Which executor carries work out: a table of the benchmark file whose `use` says which model it follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunebench.api.errors import ConfigError, nearest
from prunebench.api.problems import problems
from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Executor
from prunebench.engine.executors.memory import usable_memory
from prunebench.engine.executors.worker import WorkerConfig

WHERE = "execution.executor"
MEMORY_SHARE = 0.9
"""What a worker may hold of the memory that there is, unless a file says otherwise."""


class ExecutorTable(BaseModel):
    """What the tables of all executors have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def memory(self) -> int | None:
        """Bytes that a worker may hold; None for no limit."""
        return None

    def start(self, config: WorkerConfig, catalogue: Catalogue, workers: int) -> Executor:
        """The executor, ready for work."""
        raise NotImplementedError


class Inline(ExecutorTable):
    """In the calling process, one piece of work after another."""

    use: Literal["inline"] = "inline"

    def start(self, config: WorkerConfig, catalogue: Catalogue, workers: int) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.inline import InlineExecutor

        return InlineExecutor(config, catalogue)


class Local(ExecutorTable):
    """In worker processes on this machine."""

    use: Literal["local"] = "local"
    memory_gib: float | None = Field(None, gt=0)
    """What a worker may hold in memory; one that holds more is ended. By default 90 % of what there is."""
    silent_hours: float = Field(6.0, gt=0)
    """Work without a sign of progress for so long fails."""

    @property
    def memory(self) -> int | None:
        """See ExecutorTable.memory."""
        if self.memory_gib is not None:
            return int(self.memory_gib * 2**30)
        usable = usable_memory()
        return None if usable is None else int(usable * MEMORY_SHARE)

    def start(self, config: WorkerConfig, catalogue: Catalogue, workers: int) -> Executor:
        """See ExecutorTable.start."""
        from prunebench.engine.executors.local import LocalExecutor

        return LocalExecutor(config, workers, self.silent_hours * 3600)


KINDS: Mapping[str, type[Inline | Local]] = {"inline": Inline, "local": Local}


def chosen(table: Mapping[str, Any] | str | None, workers: int | None) -> Inline | Local:
    """The executor that a file chooses.

    Args:
        table: `execution.executor`; where it is left out "local", or "inline" if the file asks for no workers.
        workers: `execution.workers`.
    Raises:
        ConfigError: no such executor, a wrong key of one, or a number of workers that it cannot have.
    """
    if table is None:
        return Inline() if workers == 0 else Local()
    table = {"use": table} if isinstance(table, str) else dict(table)
    use = table.get("use")
    if not isinstance(use, str) or use not in KINDS:
        raise ConfigError([f"{WHERE}.use: no executor {use!r}.{nearest(str(use), KINDS)}"])
    try:
        choice = KINDS[use].model_validate(table)
    except ValidationError as error:
        raise ConfigError([one.at(f"{WHERE}.") for one in problems(error, KINDS[use].model_fields)]) from None
    if workers is not None and (workers == 0) != isinstance(choice, Inline):
        raise ConfigError([f'{WHERE}: "{use}" does not go with execution.workers = {workers}; leave one of them out'])
    return choice
