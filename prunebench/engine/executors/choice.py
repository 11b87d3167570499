"""Which executor carries work out: a table of the benchmark file whose `use` names an installed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from prunebench.api.errors import ConfigError, nearest
from prunebench.api.problems import problems
from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Executor
from prunebench.engine.executors.worker import WorkerConfig

GROUP = "prunebench.executors"
"""Of entry points: a name, and the ExecutorTable behind it."""
WHERE = "execution.executor"


@dataclass(frozen=True)
class Wanted:
    """How many pieces of work a file wants done at the same time, and on what. None where it does not say.

    Args:
        workers: processes in all.
        devices: of this machine, or "all" of them.
        slots: workers that share a device.
    """

    workers: int | None = None
    devices: tuple[str, ...] | str | None = None
    slots: int | None = None


class ExecutorTable(BaseModel):
    """What the tables of all executors have in common. A subclass is offered by an entry point of the group
    `prunebench.executors`, under the name that a file's `use` has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    use: str
    """Which executor."""

    @property
    def memory(self) -> int | None:
        """Bytes that a worker may hold; None for no limit."""
        return None

    @property
    def own_environment(self) -> bool:
        """Whether workers compute in the environment of the process that sends work; else each tells its own."""
        return True

    @property
    def imports(self) -> bool:
        """Whether workers are processes of their own, which find components by import."""
        return True

    def refusals(self, wanted: Wanted) -> Iterable[str]:
        """Why it cannot do what a file wants, each without the key. Asked before anything is planned or imported."""
        return ()

    def start(self, config: WorkerConfig, catalogue: Catalogue, wanted: Wanted) -> Executor:
        """The executor, ready for work.

        Raises:
            ConfigError, WorkerError: what the file wants is not there.
        """
        raise NotImplementedError


def installed() -> Mapping[str, EntryPoint]:
    """The executors of what is installed, by name.

    Raises:
        ConfigError: two distributions offer the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigError(
                [f'{WHERE}: two distributions offer "{point.name}": {_distribution(other)} and {_distribution(point)}']
            )
    return found


def tables() -> dict[str, type[ExecutorTable]]:
    """The table of each installed executor, by name. Raises ConfigError where one cannot be imported."""
    return {name: _loaded(point) for name, point in sorted(installed().items())}


def chosen(table: Mapping[str, Any] | str | None, wanted: Wanted = Wanted()) -> ExecutorTable:
    """The executor that a file chooses.

    Args:
        table: `execution.executor`; where it is left out "local", or "inline" if the file asks for no workers.
    Raises:
        ConfigError: no such executor, a wrong key of one, an extra that is not installed, or what it cannot do.
    """
    if table is None:
        table = "inline" if wanted.workers == 0 else "local"
    table = {"use": table} if isinstance(table, str) else dict(table)
    use, known = table.get("use"), installed()
    if not isinstance(use, str) or use not in known:
        raise ConfigError([f"{WHERE}.use: no executor {use!r}.{nearest(str(use), known)}"])
    kind = _loaded(known[use])
    try:
        choice = kind.model_validate(table)
    except ValidationError as error:
        raise ConfigError([one.at(f"{WHERE}.") for one in problems(error, kind.model_fields)]) from None
    refusals = [f"{WHERE}: {why}" for why in choice.refusals(wanted)]
    if refusals:
        raise ConfigError(refusals)
    return choice


def _loaded(point: EntryPoint) -> type[ExecutorTable]:
    try:
        kind = point.load()
    except Exception as error:  # a stranger's import may fail in any way
        raise ConfigError(
            [f'{WHERE}.use: "{point.name}" of {_distribution(point)} cannot be imported: {error}']
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, ExecutorTable)):
        raise ConfigError([f'{WHERE}.use: "{point.name}" of {_distribution(point)} is no ExecutorTable'])
    return kind


def _distribution(point: EntryPoint) -> str:
    return "an unknown distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"
