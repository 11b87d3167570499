"""Work on a Ray cluster: an actor for each slot, which has worker processes of its own and lives as long as the run."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from prunebench.api.errors import WorkerError
from prunebench.engine.executors.host import Host
from prunebench.engine.executors.hosts import HostsExecutor, Link, LostHostError
from prunebench.engine.executors.local import ENDS
from prunebench.engine.executors.worker import WorkerConfig

POLL_SECONDS = 0.5
"""How long an actor waits for something to tell before it answers that there is nothing."""
KNOCK_SECONDS = 20.0
"""How long the address of a cluster may take to answer."""
WITHOUT_ASKING = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
"""Unless they are set: nothing is reported to Ray's makers, and no token is written into the home folder."""


def ray_executor(
    config: WorkerConfig, hosts: int | None, slots: int | None, address: str, silence: float, patience: float
) -> HostsExecutor:
    """Connect to a cluster and have as many actors started as it has place for, or as were asked for.

    Args:
        config: its device "auto" is a GPU where the cluster has any.
        hosts: actors; by default as many as there is place for.
        slots: actors that share a GPU.
        address: of the cluster; "auto" is the one that runs here or that RAY_ADDRESS names, "local" starts one.
    Raises:
        WorkerError: there is no such cluster, or it has no place for so many.
    """
    for name, value in WITHOUT_ASKING.items():
        os.environ.setdefault(name, value)  # read when it is imported
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        alone = {"include_dashboard": False} if address == "local" else {}
        try:
            _knock(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
            ray.init(address=address, **alone, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, OverflowError, ValueError, RuntimeError) as error:
            raise WorkerError(
                f"execution.executor.address: no Ray cluster at {address!r} ({str(error).splitlines()[0]}). Start one "
                'with `ray start --head`, name its address, or write address = "local" for one of this machine alone'
            ) from None
    try:
        where = f"the Ray cluster at {ray.get_runtime_context().gcs_address}"
        on_gpu = config.device.startswith("cuda") or (config.device == "auto" and _total("GPU") > 0)
        share = 1 / (slots or 1) if on_gpu else 0.0
        count = _checked(hosts, config.threads, share, where)
        text = _with_device(config, "cuda" if on_gpu else "cpu").to_text()
        options = {"num_cpus": config.threads, "num_gpus": share, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        transport = _RayTransport(where, text, silence, options, ours)
        return HostsExecutor(transport, count, ("device", "processor") if on_gpu else ("all",), patience)
    except BaseException:
        if ours:
            ray.shutdown()
        raise


def _knock(address: str) -> None:
    """Raises OSError if nobody listens at HOST:PORT: Ray itself may try for a quarter of an hour, in silence."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()


def _ray() -> Any:
    return import_module("ray")


def _failures() -> Any:
    return import_module("ray.exceptions").RayError


def _with_device(config: WorkerConfig, device: str) -> WorkerConfig:
    return replace(config, device=device)


def _total(resource: str) -> float:
    ray = _ray()
    return float(ray.cluster_resources().get(resource, 0.0))


def _checked(hosts: int | None, threads: int, share: float, where: str) -> int:
    """How many actors to start. Raises WorkerError if that many can never be: Ray would wait for ever, in silence."""
    ray = _ray()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = [int(node.get("CPU", 0.0) // threads) for node in nodes]
    if share:
        places = [min(n, int(node.get("GPU", 0.0) / share + 1e-9)) for n, node in zip(places, nodes, strict=True)]
    count = sum(places) if hosts is None else hosts
    if 0 < count <= sum(places):
        return count
    needs = f"{threads} CPUs" + (f" and {share:g} GPU" if share else "")
    has = f"{_total('CPU'):g} CPUs" + (f" and {_total('GPU'):g} GPUs" if share else "")
    asked = "one worker" if hosts is None else f"{hosts} workers (execution.workers)"
    raise WorkerError(
        f"{where} has no place for {asked}: each needs {needs} of one node, and its {len(nodes)} nodes have {has} "
        f"together, which is place for {sum(places)}"
    )


class _RayLink:
    """An actor, and its answer that is waited for."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.answer: Any = actor.ready.remote()
        self._busy: set[str] = set()

    def submit(self, work: str, resources: dict[str, Any]) -> None:
        """See Link.submit."""
        self._busy.add(json.loads(work)["key"])
        self._actor.submit.remote(work, resources)
        self._listen()

    def cancel(self, key: str) -> None:
        """See Link.cancel."""
        self._actor.cancel.remote(key)

    def received(self) -> list[dict[str, Any]]:
        """See Link.received."""
        ray, failures = _ray(), _failures()
        if self.answer is None or not ray.wait([self.answer], timeout=0)[0]:
            return []
        try:
            found = json.loads(ray.get(self.answer))
        except failures as error:
            raise LostHostError(f"the worker's node or actor ended: {_first_sentence(error)}") from None
        self.answer = None
        events = found if isinstance(found, list) else [found]
        for event in events:
            if event["kind"] in (*ENDS, "died"):
                self._busy.discard(event["key"])
        self._listen()
        return events

    def close(self) -> None:
        """See Link.close."""
        ray, failures = _ray(), _failures()
        with suppress(failures):
            ray.kill(self._actor)

    def _listen(self) -> None:
        if self._busy and self.answer is None:
            self.answer = self._actor.events.remote(POLL_SECONDS)


class _RayTransport:
    """Starts actors."""

    def __init__(self, where: str, config: str, silence: float, options: dict[str, Any], ours: bool) -> None:
        ray = _ray()
        self.where = where
        self._made = ray.remote(Host).options(**options)
        self._arguments = (config, silence)
        self._ours = ours

    def open(self) -> Link:
        """See Transport.open."""
        return _RayLink(self._made.remote(*self._arguments))

    def wait(self, links: Sequence[Link], timeout: float) -> None:
        """See Transport.wait."""
        ray = _ray()
        answers = [link.answer for link in cast(Sequence[_RayLink], links) if link.answer is not None]
        if answers:
            ray.wait(answers, num_returns=1, timeout=timeout, fetch_local=False)

    def close(self) -> None:
        """See Transport.close."""
        ray = _ray()
        if self._ours:
            ray.shutdown()


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
