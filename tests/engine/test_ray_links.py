"""The way to Ray's actors, with a Ray that is made up: actors are objects of this process, their workers are real.

Real clusters have test_ray_executor.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import open_store, prepared, worker_config
from prunebench.api.errors import WorkerError
from prunebench.engine.executors import ray_cluster
from prunebench.engine.executors.hosts import HostsExecutor
from prunebench.engine.executors.ray_cluster import ray_executor
from prunebench.engine.scheduler import execute


class ActorError(Exception):
    """What Ray raises."""


class Answer:
    """What a call gave, or raised."""

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.value: Any = None
        self.error: ActorError | None = None
        try:
            self.value = call(*arguments)
        except ActorError as error:
            self.error = error


class Method:
    def __init__(self, actor: Actor, name: str) -> None:
        self._actor, self._name = actor, name

    def remote(self, *arguments: Any) -> Answer:
        def call(*given: Any) -> Any:
            if self._actor.dead:
                raise ActorError("The actor died.\nThe node was lost.")
            return getattr(self._actor.made, self._name)(*given)

        return Answer(call, arguments)


class Actor:
    """An object whose methods are called at once."""

    def __init__(self, made: Any) -> None:
        self.made, self.dead = made, False

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)


class MadeUpRay:
    """As much of Ray as is used: nodes with these resources."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self._nodes = nodes
        self.actors: list[Actor] = []
        self.options: dict[str, Any] = {}
        self.initialised = False

    def is_initialized(self) -> bool:
        return self.initialised

    def init(self, address: str, **given: Any) -> None:
        if address == "ray://nowhere:1":
            raise ConnectionError("nobody answers there")
        self.initialised = True

    def shutdown(self) -> None:
        self.initialised = False

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": resources} for resources in self._nodes]

    def cluster_resources(self) -> dict[str, float]:
        return {name: sum(node.get(name, 0.0) for node in self._nodes) for name in ("CPU", "GPU")}

    def get_runtime_context(self) -> Any:
        return type("Context", (), {"gcs_address": "10.0.0.1:6379"})

    def remote(self, kind: Any) -> Any:
        ray = self

        class Made:
            def options(self, **given: Any) -> Made:
                ray.options = given
                return self

            def remote(self, *arguments: Any) -> Actor:
                ray.actors.append(Actor(kind(*arguments)))
                return ray.actors[-1]

        return Made()

    def wait(self, answers: list[Answer], **given: Any) -> tuple[list[Answer], list[Answer]]:
        return answers, []

    def get(self, answer: Answer) -> Any:
        if answer.error is not None:
            raise answer.error
        return answer.value

    def kill(self, actor: Actor) -> None:
        actor.dead = True
        actor.made.shutdown()


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MadeUpRay]:
    def with_nodes(*nodes: dict[str, float]) -> MadeUpRay:
        ray = MadeUpRay(*nodes)
        monkeypatch.setattr(ray_cluster, "_ray", lambda: ray)
        monkeypatch.setattr(ray_cluster, "_failures", lambda: ActorError)
        return ray

    return with_nodes


def started(store: Path, hosts: int | None = None, slots: int | None = None, **changes: Any) -> HostsExecutor:
    config = worker_config(store, environment={}, **changes)
    return ray_executor(config, hosts, slots, changes.pop("address", "auto"), 1e9, 10)


@pytest.mark.usefixtures("quick_workers")
def test_a_plan_is_carried_out_and_a_lost_actor_is_replaced(store_path: Path, made_up: Any) -> None:
    ray = made_up({"CPU": 0.0}, {"CPU": 2.0})
    ready = prepared(store_path, train={"horizon": "240it"})
    executor = started(store_path)
    try:
        assert len(ray.actors) == 2
        (capacity,) = executor.capacity()
        assert capacity.slots == 2
        lost: list[bool] = []

        def observe(event: Any) -> None:
            if event.kind == "phase-started" and not lost:
                lost.append(True)
                ray.actors[0].dead = True
                ray.actors[0].made.shutdown()

        done = execute(ready.plan, open_store(store_path), executor, observe=observe)
    finally:
        executor.shutdown()
    assert done.failed == {}
    assert done.done == len(ready.plan.wanted)
    assert len(ray.actors) == 3
    assert not ray.initialised
    assert ray.options == {"num_cpus": 1, "num_gpus": 0.0, "max_restarts": 0, "scheduling_strategy": "SPREAD"}


@pytest.mark.parametrize(
    ("nodes", "hosts", "slots", "threads", "message"),
    [
        ([{"CPU": 2.0}, {"CPU": 2.0}], 5, None, 1, r"no place for 5 workers \(execution\.workers\).*place for 4"),
        ([{"CPU": 2.0}, {"CPU": 2.0}], None, None, 3, "no place for one worker: each needs 3 CPUs of one node"),
        ([{"CPU": 8.0, "GPU": 1.0}], 5, 4, 1, r"each needs 1 CPUs and 0\.25 GPU of one node.*place for 4"),
        ([{"CPU": 0.0}], None, None, 1, "has no place for one worker"),
    ],
)
def test_what_no_cluster_can_give_is_refused_by_name(
    store_path: Path, made_up: Any, nodes: list[dict[str, float]], hosts: int, slots: int, threads: int, message: str
) -> None:
    ray = made_up(*nodes)
    with pytest.raises(WorkerError, match=message):
        started(store_path, hosts, slots, threads=threads, device="auto")
    assert ray.actors == []
    assert not ray.initialised


def test_no_cluster_at_an_address_says_what_to_do(store_path: Path, made_up: Any) -> None:
    made_up({"CPU": 2.0})
    config = worker_config(store_path)
    refusal = r"no Ray cluster at 'ray://nowhere:1' \(nobody answers there\).*ray start --head"
    with pytest.raises(WorkerError, match=refusal):
        ray_executor(config, 1, None, "ray://nowhere:1", 1e9, 10)


@pytest.mark.parametrize("named", [True, False])
def test_where_nobody_listens_ray_is_not_left_to_try_for_ever(
    store_path: Path, made_up: Any, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    ray = made_up({"CPU": 2.0})
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(WorkerError, match=r"no Ray cluster at .*refused.*ray start --head"):
        ray_executor(worker_config(store_path), 1, None, address if named else "auto", 1e9, 10)
    assert not ray.initialised
