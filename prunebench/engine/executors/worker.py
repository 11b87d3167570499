"""A worker: pieces of work one after another, each ended by one event."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prunebench.api.errors import (
    ConfigError,
    ContractError,
    DataMissing,
    LostArtifact,
    PlanError,
    StoreError,
    WorkerError,
)
from prunebench.api.untrusted_text import describe
from prunebench.components.catalogue import Catalogue
from prunebench.components.interrupts import is_ctrl_c
from prunebench.engine.device_use import uses_device
from prunebench.engine.environment import fingerprint, pin, sealed_off
from prunebench.engine.executors.origins import Origin, rebuilt
from prunebench.engine.work import CancelledError, Channel, Work
from prunebench.store.environment import Environment
from prunebench.store.store import Store

TEXT_LENGTH = 4_000
"""Characters of an error that are passed on: what a component raises may be of any size."""


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker needs to know before its first work. Plain values, so that it travels.

    Args:
        environment: the fields of the environment that the sender counts on; a worker that finds another one refuses.
            Without any, each worker goes by what it finds.
        origins: where its components come from.
        needed: versions of the components that work will name, by name.
        processor_only: whether it does only what needs no device, for workers of this environment that have one.
        token: a name of the store's cache by which a worker sees that its store is the sender's; empty for no check.
    """

    store: str
    data_root: str
    device: str
    threads: int
    reuse: str
    checkpoint_seconds: float
    environment: Mapping[str, str | int]
    origins: tuple[Origin, ...] = ()
    needed: Mapping[str, int] = field(default_factory=dict)
    processor_only: bool = False
    token: str = ""

    def to_text(self) -> str:
        """As one JSON string, for another machine."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> WorkerConfig:
        """Back from `to_text`."""
        fields = json.loads(text)
        return cls(**{**fields, "origins": tuple(Origin(**origin) for origin in fields["origins"])})


class Worker:
    """Does pieces of work one after another in this process, under the environment that it finds here.

    Raises:
        WorkerError: the environment or the components are not those that the sender of the work counts on.
        PrunebenchError: the device or the store is not there.
    """

    def __init__(self, config: WorkerConfig, catalogue: Catalogue | None = None) -> None:
        from prunebench.engine.workbench import Workbench

        pin(config.device, config.threads)
        self.config = config
        self.environment = _environment_of(config)
        catalogue = rebuilt(config.origins, config.needed) if catalogue is None else catalogue
        store = Store(config.store, environment=self.environment, reuse=config.reuse)  # type: ignore[arg-type]
        _check_store(store, config)
        self._catalogue = catalogue
        named = config.needed or catalogue.providers
        self._foreign = any(catalogue.find(name).foreign for name in named)
        self._fresh = True
        self.workbench = Workbench(store, catalogue, Path(config.data_root), config.device)
        on_processor = config.device == "cpu"
        self._processor = self.workbench if on_processor else Workbench(store, catalogue, Path(config.data_root), "cpu")

    def do(self, text: str, channel: Channel, *, interruptible: bool = False) -> dict[str, Any]:
        """One piece of work; the event that ends it. Nothing that a component raises comes out of it.

        Args:
            interruptible: whether Ctrl-C arrives here, and comes out.
        """
        data = json.loads(text)
        key, began = data["key"], time.monotonic()
        try:
            # In the command's own process its progress is printed meanwhile.
            event = self._done(key, data, channel, divert=self._foreign and not interruptible)
        except CancelledError:
            event = {"kind": "cancelled"}
        except LostArtifact as error:
            event = {"kind": "lost", "addresses": self._lost(Work.from_json(data), error), "error": str(error)}
        except StoreError as error:
            event = {"kind": "failed", "error": str(error), "fatal": "store"}
        except (ContractError, DataMissing, PlanError, ConfigError, WorkerError) as error:
            event = {"kind": "failed", "error": str(error)}
            if error.__cause__ is not None:  # what a component raised
                event["traceback"] = "".join(traceback.format_exception(error.__cause__)[-4:])[-TEXT_LENGTH:]
        except BaseException as error:  # a plugin may raise anything; the other trials go on
            if interruptible and is_ctrl_c(error):
                raise
            trace = "".join(traceback.format_exception(error)[-4:])
            event = {"kind": "failed", "error": describe(error, TEXT_LENGTH), "traceback": trace[-TEXT_LENGTH:]}
        if event["kind"] == "done":
            # The first work of a process imports and loads what all later work finds.
            event |= {"seconds": time.monotonic() - began, "first": self._fresh}
        self._fresh = False
        return {**event, "key": key}

    def _done(self, key: str, data: Mapping[str, Any], channel: Channel, *, divert: bool) -> dict[str, Any]:
        from prunebench.engine.phases import perform

        with self.workbench.store.lease(key) as lease:
            if not lease.try_acquire():
                holder = lease.holder()
                return {"kind": "busy", "holder": None if holder is None else holder.to_json()}
            work = Work.from_json(data)
            # Not where there happens to be room: the same phase computes on the same kind of hardware in every worker.
            bench = self.workbench if uses_device(work.spec, self._catalogue) else self._processor
            seed = int(key[:15], 16)
            with sealed_off(str(bench.device), self.config.threads, seed, foreign=self._foreign, divert=divert):
                perform(work, bench, channel, self.config.checkpoint_seconds)
        return {"kind": "done"}

    def _lost(self, work: Work, error: LostArtifact) -> list[str]:
        """Every parent that is gone or corrupt, not only the one that was met first."""
        lost = {error.address}
        for address in {*work.parents} - lost:
            try:
                self.workbench.store.get(address)
            except LostArtifact:
                lost.add(address)
        return sorted(lost)


def _environment_of(config: WorkerConfig) -> Environment:
    """The environment that this process computes in. Raises WorkerError if it is not the one that is counted on."""
    here = fingerprint(config.device, config.threads)
    wanted = Environment(config.environment)
    if config.processor_only:
        # It does what workers with a device of this environment leave to the processor, which must be the same.
        here = Environment({**here.fields, "device": wanted.fields["device"]})
    if wanted.fields and here.id != wanted.id:
        names = sorted({*here.fields, *wanted.fields})
        differ = [
            f"{name} is {here.fields.get(name)!r}, not {wanted.fields.get(name)!r}"
            for name in names
            if here.fields.get(name) != wanted.fields.get(name)
        ]
        raise WorkerError(
            f"a worker ({_this_process()}) computes in another environment than the process that sends it work: "
            f"{'; '.join(differ)}"
        )
    return here


def _check_store(store: Store, config: WorkerConfig) -> None:
    if config.token and store.cached_json(config.token) is None:
        raise WorkerError(
            f"a worker ({_this_process()}) finds another store at {config.store} than the process that sends it work. "
            "Every machine must see the same one: put it on a file system that they share, and name it with --store"
        )


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
