"""Who does the work of a benchmark, with what, and what they must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from prunebench.benchmark.entries import Benchmark
from prunebench.components.catalogue import Catalogue
from prunebench.engine.device_use import uses_device
from prunebench.engine.environment import device_of
from prunebench.engine.executors.api import Executor, Resources
from prunebench.engine.executors.choice import chosen
from prunebench.engine.executors.origins import origins_of
from prunebench.engine.executors.places import first_device, wanted_of
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.plan.phases import Phase
from prunebench.plan.specs import AnalyseSpec
from prunebench.runner.preparing import Prepared
from prunebench.runner.trainable import refuse_recipes
from prunebench.store.store import Store


def executor_of(prepared: Prepared, store: Store, catalogue: Catalogue) -> Executor:
    """The executor that a file chooses, ready for work.

    Raises:
        WorkerError: its workers could not find a component that the file names, or there are none.
        ConfigError: devices that are not there, or more slots than they allow.
    """
    execution = prepared.benchmark.execution
    wanted = wanted_of(execution)
    choice = chosen(execution.executor, wanted)
    needed = components_of(prepared.benchmark)
    here = choice.own_environment
    device = device_of(first_device(execution)) if here else execution.device
    if here:
        refuse_recipes(prepared.benchmark, device)
    config = WorkerConfig(
        store=str(prepared.store_path),
        data_root=str(prepared.root),
        device=device,
        threads=execution.threads,
        reuse=prepared.options.reuse,
        checkpoint_seconds=execution.checkpoint_seconds,
        environment=dict(store.environment.fields) if here else {},
        origins=origins_of(catalogue, needed) if choice.imports else (),
        needed=needed,
        token="" if here else _token_in(store),
    )
    if here:
        return choice.start(config, catalogue, wanted)
    # Elsewhere there is another working folder.
    place, root = prepared.store_path, str(prepared.root.absolute())
    store_path = str(place.absolute()) if isinstance(place, Path) else place
    return choice.start(replace(config, store=store_path, data_root=root), catalogue, wanted)


def _token_in(store: Store) -> str:
    """A name under which this store alone holds something, so that workers of other machines can tell that it is it."""
    name = f"workers-{uuid4().hex}"
    store.put_json(name, True)
    return name


def resources_of(
    prepared: Prepared, catalogue: Catalogue, homes: Callable[[str], str | None] = lambda key: None
) -> Callable[[Phase], Resources]:
    """What each phase of a file needs: what sends data through a network a device, the rest none.

    Analyses that measure time have the machine to themselves, as far as this run goes.

    Args:
        homes: the environment that a phase belongs to, by its key; None for any.
    """
    execution = prepared.benchmark.execution
    memory = chosen(execution.executor, wanted_of(execution)).memory
    timed = {name for name, use in prepared.benchmark.uses().items() if use.component.alone}
    known: dict[tuple[bool, bool, str | None], Resources] = {}

    def needs(phase: Phase) -> Resources:
        alone = isinstance(phase.spec, AnalyseSpec) and phase.spec.analysis.use in timed
        kind = uses_device(phase.spec, catalogue), alone, homes(phase.key)
        if kind not in known:
            busy = 1.0 if kind[0] else 0.0
            known[kind] = Resources(busy, execution.threads, memory, alone=alone, environment=kind[2])
        return known[kind]

    return needs


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
