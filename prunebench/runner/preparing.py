"""A benchmark file with its plan, before anything trains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from prunebench.api.errors import ConfigError
from prunebench.benchmark import load as config
from prunebench.benchmark.entries import Benchmark
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import call_planning_hook
from prunebench.components.time_limit import watched
from prunebench.engine.environment import fingerprint
from prunebench.engine.executors.choice import chosen
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.plan.trial import Plan
from prunebench.runner.trainable import refuse_recipes
from prunebench.store.environment import Environment
from prunebench.store.store import Store


def default_store() -> Path:
    """`$PRUNEBENCH_STORE`, or a folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("PRUNEBENCH_STORE") or Path(platformdirs.user_cache_dir("prunebench")) / "store")


def data_root() -> Path:
    """`$PRUNEBENCH_DATA`, or a folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("PRUNEBENCH_DATA") or Path(platformdirs.user_cache_dir("prunebench")) / "data")


@dataclass(frozen=True)
class Options:
    """What the command line says beside the file."""

    file: Path
    profile: str | None = None
    seeds: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    store: Path | None = None
    reuse: Literal["same", "any"] = "same"
    also: tuple[Mapping[str, Any], ...] = ()
    """Components to report with beside the file's `report.also`, or in place of those of the same name."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A benchmark with its plan: nothing has trained yet."""

    options: Options
    benchmark: Benchmark
    plan: Plan
    root: Path
    store_path: Path

    def open_store(self) -> Store:
        """The store, under this machine's fingerprint (which takes an import of torch)."""
        execution = self.benchmark.execution
        environment = fingerprint(execution.device, execution.threads)
        return Store(self.store_path, environment=environment, reuse=self.options.reuse)


def prepare(options: Options, catalogue: Catalogue | None = None) -> Prepared:
    """Read the file and make its plan.

    Raises:
        ConfigError: with every error of the file.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    reading = config.read(
        options.file,
        catalogue,
        profile=options.profile,
        seeds=options.seeds,
        only=options.only,
        settings=options.settings,
    )
    benchmark = reading.benchmark or reading.sound()
    chosen(benchmark.execution.executor, benchmark.execution.workers)
    if benchmark.execution.device.partition(":")[0] == "cpu":  # what "auto" stands for takes an import of torch
        refuse_recipes(benchmark, benchmark.execution.device)
    for table in options.also:
        use = catalogue.use(table, slot="report", where="also")
        others = tuple(other for other in benchmark.also if other.name != use.name)
        benchmark = replace(benchmark, report=benchmark.report.model_copy(update={"also": (*others, use)}))
    root, store_path = data_root(), options.store or default_store()
    probe = StoreProbe(Store(store_path, environment=Environment({"for": "planning"})), root)
    try:
        with watched(call_planning_hook.__code__):
            plan = make_plan(benchmark, probe)
    except ConfigError as error:
        # The entries that the file has right are planned all the same, so that every error comes at once.
        raise ConfigError((*reading.errors, *error.errors)) from None
    reading.sound()
    return Prepared(options, benchmark, plan, root, store_path)
