"""A benchmark file with its plan, before anything trains."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from prunebench.api.errors import ConfigError
from prunebench.benchmark import load as config
from prunebench.benchmark.entries import Benchmark
from prunebench.components.catalogue import Catalogue
from prunebench.components.global_state import GlobalState
from prunebench.components.time_limit import watched
from prunebench.engine.environment import fingerprint, fingerprint_known
from prunebench.engine.executors.choice import chosen
from prunebench.engine.executors.nursery import done_aside, warm
from prunebench.engine.executors.places import first_device, wanted_of, with_executor
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.plan.trial import Plan
from prunebench.runner.judged_weights import kept
from prunebench.runner.out_folder import expanded
from prunebench.runner.trainable import refuse_recipes
from prunebench.store.environment import Environment
from prunebench.store.places import place_of
from prunebench.store.store import Store


def default_store() -> Path | str:
    """`$PRUNEBENCH_STORE`, or a folder in the user's cache: a path, or an object store's URL."""
    import platformdirs

    given = os.environ.get("PRUNEBENCH_STORE")
    return place_of(given) if given else Path(platformdirs.user_cache_dir("prunebench")) / "store"


def data_root() -> Path:
    """`$PRUNEBENCH_DATA`, or a folder in the user's cache."""
    import platformdirs

    given = os.environ.get("PRUNEBENCH_DATA")
    return expanded(given) if given else Path(platformdirs.user_cache_dir("prunebench")) / "data"


_CARRIED_OUT = "execution"
"""The table whose settings are of no key and of no result."""


@dataclass(frozen=True)
class Options:
    """What the command line says beside the file."""

    file: Path
    profile: str | None = None
    seeds: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    store: Path | str | None = None
    """A folder's path, or an object store's URL."""
    reuse: Literal["same", "any"] = "same"
    executor: str | None = None
    """What carries the work out, in place of what the file says."""
    also: tuple[Mapping[str, Any], ...] = ()
    """Components to report with beside the file's `report.also`, or in place of those of the same name."""
    execution: Mapping[str, Any] = field(default_factory=dict)
    """What replaces keys of the file's `[execution]`: how a run is carried out, which changes nothing that it is."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The settings that change what is run, and not merely how it is carried out."""
        return tuple(setting for setting in self.settings if _table_of(setting) != _CARRIED_OUT)


def _table_of(setting: str) -> str:
    return setting.partition("=")[0].strip().partition(".")[0]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A benchmark with its plan: nothing has trained yet."""

    options: Options
    benchmark: Benchmark
    plan: Plan
    root: Path
    store_path: Path | str
    """A folder's path, or an object store's URL, which workers open by it."""

    def open_store(self) -> Store:
        """The store, under this machine's fingerprint (which takes an import of torch)."""
        execution = self.benchmark.execution
        environment = fingerprint(first_device(execution), execution.threads)
        return Store(self.store_path, environment=environment, reuse=self.options.reuse)


def read_file(options: Options, catalogue: Catalogue) -> config.Reading:
    """The file with its profile and with what the options change in it; not planned."""
    return config.read(
        options.file,
        catalogue,
        profile=options.profile,
        seeds=options.seeds,
        only=options.only,
        settings=options.settings,
    )


def prepare(options: Options, catalogue: Catalogue | None = None, *, to_run: bool = False) -> Prepared:
    """Read the file and make its plan.

    Args:
        to_run: whether the plan will be carried out. If models or data are new to the store there will be work, for
            which workers of this machine need torch, and a process that has it already looks at them.
    Raises:
        ConfigError: with every error of the file.
    """
    with watched():
        return _prepared(options, Catalogue.load() if catalogue is None else catalogue, to_run, catalogue is None)


def _prepared(options: Options, catalogue: Catalogue, to_run: bool, installed: bool) -> Prepared:
    reading = read_file(options, catalogue)
    benchmark = reading.benchmark or reading.sound()
    if options.execution:
        changed = benchmark.execution.model_copy(update=dict(options.execution))
        benchmark = replace(benchmark, execution=changed)
    if options.executor is not None:
        benchmark = replace(benchmark, execution=with_executor(benchmark.execution, options.executor))
    executor = chosen(benchmark.execution.executor, wanted_of(benchmark.execution))
    if benchmark.execution.device.partition(":")[0] == "cpu":  # what "auto" stands for takes an import of torch
        refuse_recipes(benchmark, benchmark.execution.device)
    for table in options.also:
        use = catalogue.use(table, slot="report", where="also")
        others = tuple(other for other in benchmark.also if other.name != use.name)
        benchmark = replace(benchmark, report=benchmark.report.model_copy(update={"also": (*others, use)}))
    root, store_path = data_root(), options.store or default_store()
    store = Store(store_path, environment=Environment({"for": "planning"}))
    if to_run and executor.imports and executor.own_environment:
        # As with an accelerator, this process may need torch in any case: then it imports it while the server does.
        apart = installed and fingerprint_known(first_device(benchmark.execution), benchmark.execution.threads)
        seeds = (benchmark.seeds[0],)  # the others would only ask again
        probe = StoreProbe(store, root, warm, _Aside(replace(options, seeds=seeds)) if apart else warm)
    else:
        probe = StoreProbe(store, root)
    state = GlobalState(code="all")
    try:
        plan = kept(make_plan(benchmark, probe), benchmark.execution.keep)
    except ConfigError as error:
        # The entries that the file has right are planned all the same, so that every error comes at once.
        raise ConfigError((*reading.errors, *error.errors)) from None
    finally:
        state.restore()  # of planning hooks, which are too many to look at one by one
    reading.sound()
    return Prepared(options, benchmark, plan, root, store_path)


class _Aside:
    """Has a process plan that has imported torch, which takes long: of its plan only what is cached is kept."""

    def __init__(self, options: Options) -> None:
        self._options, self._asked = options, False

    def __call__(self) -> None:
        """Wait for it, the first time, unless torch is here already."""
        warm()
        if not self._asked and "torch" not in sys.modules:
            self._asked = True
            with suppress(OSError):
                done_aside(_probe, self._options)


def _probe(options: Options) -> None:
    with suppress(Exception):  # whatever it is, who waits for this finds it again, and says it
        prepare(options).open_store()
