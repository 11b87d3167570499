"""Who does the work of a benchmark, with what, and what they must know."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from prunebench.benchmark.entries import Benchmark
from prunebench.components.catalogue import Catalogue
from prunebench.engine.environment import device_of
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.executors.choice import Inline, chosen
from prunebench.engine.executors.origins import origins_of
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.plan.phases import Phase
from prunebench.runner.preparing import Prepared
from prunebench.runner.trainable import refuse_recipes
from prunebench.store.store import Store


def executor_of(prepared: Prepared, store: Store, catalogue: Catalogue) -> Executor:
    """The executor that a file chooses, ready for work.

    Raises:
        ConfigError: the device cannot train what the file asks for.
        WorkerError: its workers could not find a component that the file names.
    """
    execution = prepared.benchmark.execution
    choice = chosen(execution.executor, execution.workers)
    device = device_of(execution.device)
    refuse_recipes(prepared.benchmark, device)
    needed = components_of(prepared.benchmark)
    config = WorkerConfig(
        store=str(prepared.store_path),
        data_root=str(prepared.root),
        device=device,
        threads=execution.threads,
        reuse=prepared.options.reuse,
        checkpoint_seconds=execution.checkpoint_seconds,
        environment=dict(store.environment.fields),
        origins=() if isinstance(choice, Inline) else origins_of(catalogue, needed),
        needed=needed,
    )
    workers = execution.workers
    if workers is None:
        cores = len(os.sched_getaffinity(0))
        workers = 1 if device != "cpu" else max(1, cores // execution.threads)
    return choice.start(config, catalogue, workers)


def resources_of(prepared: Prepared) -> Callable[[Phase], Resources]:
    """What each phase of a file needs, by its kind: training and analyses keep a device busy, the others do not."""
    execution = prepared.benchmark.execution
    memory = chosen(execution.executor, execution.workers).memory
    busy = Resources(1.0, execution.threads, memory)
    idle = replace(busy, device=0.0)
    return lambda phase: busy if phase.kind in ("train", "analyse") else idle


def components_of(benchmark: Benchmark) -> dict[str, int]:
    """Versions by name of the components that phases of a benchmark name: of its entries and of those they refer to."""
    found: dict[str, int] = {}
    names, known = [entry.name for entry in benchmark.entries], set[str]()
    while names:
        entry = benchmark.all_entries[names.pop()]
        if entry.name not in known:
            known.add(entry.name)
            found.update((use.name, use.component.version) for use in entry.uses())
            names += [name for _, name in entry.references()]
    return dict(sorted(found.items()))
