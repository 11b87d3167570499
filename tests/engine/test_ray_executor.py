"""Work on a Ray cluster of three nodes on this machine: a head without processors, and two that work.

`tox -e cluster` runs it, on a machine with cores to spare: a node takes about ten seconds to start where nothing else
runs, and gives up after half a minute. `test_ray_links.py` and `test_hosts.py` are the short form, without Ray.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import TESTS, catalogue, prepared, rows, run, text, worker_config
from prunebench import runner
from prunebench.api.errors import WorkerError
from prunebench.api.events import Event
from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.api import Executor
from prunebench.engine.executors.ray_cluster import ray_executor
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.testing import ExecutorContract

# Not imported here: it reads variables then that the cluster is to be started with.
if find_spec("ray") is None:
    pytest.skip('the extra is not installed: pip install "prunebench[ray]"', allow_module_level=True)
if "PRUNEBENCH_CLUSTER" not in os.environ:
    pytest.skip("nodes and actors take minutes to start on a busy machine; tox -e cluster", allow_module_level=True)
# Ray leaves sockets and files to the end of its process.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("cluster")]
STORE = 80 * 2**20


PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def node() -> dict[str, int]:
    """What all nodes have: a small object store, and ports that are known before their helpers have started.

    A node waits half a minute for helpers to say which ports they took, and gives up: too short on a loaded machine.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        ports = [one.getsockname()[1] for one in sockets]
    return {"object_store_memory": STORE, **dict(zip(PORTS, ports, strict=True))}


def patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """What asks for a node until it is there."""

    def found(*arguments: Any) -> Any:
        deadline = time.monotonic() + 300
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    return found


class Nodes:
    """A cluster and what it takes to lose a node of it."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address: str = cluster.address
        self.nodes: list[Any] = []

    def add(self, **variables: str) -> None:
        """Another node of two processors, whose workers have these environment variables."""
        self.nodes.append(self.cluster.add_node(num_cpus=2, env_vars=variables or None, **node()))

    def lose(self) -> None:
        """Kill the node that came last, with all that runs on it."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # It binds to 127.0.0.1 alone where it takes itself to be on a machine that cannot have clusters.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("PYTHONPATH", str(TESTS))
        # Helpers of a node take longer to start than Ray waits for them on a loaded machine.
        patch.setenv("RAY_agent_register_timeout_ms", "300000")
        from ray._private import services
        from ray.cluster_utils import Cluster

        # Ray gives a node half a minute to start, which is too short on a loaded machine.
        patch.setattr(services, "get_node", patient(services.get_node))
        patch.setattr(services, "wait_for_node", lambda address, name, timeout: None)
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **node()})
        try:
            found = Nodes(made)
            assert found.address.startswith("127.0.0.1:")
            found.add()
            found.add()
            yield found
        finally:
            made.shutdown()


def on(cluster: Nodes, **changes: Any) -> dict[str, Any]:
    """The part of a file that has its work done on a cluster."""
    return {"execution": {"workers": 2, "executor": {"use": "ray", "address": cluster.address}, **changes}}


LONG_RUNS = {"seeds": [0, 1], "train": {"horizon": "6000it"}, "measure": {"every": "1000it"}, "rounds": 1}


def test_a_run_that_loses_a_node_gives_the_bytes_of_an_undisturbed_one(
    cluster: Nodes, store_path: Path, tmp_path: Path
) -> None:
    undisturbed = text(run(tmp_path / "alone", LONG_RUNS))
    ready = prepared(store_path, LONG_RUNS, on(cluster, workers=None, checkpoint_seconds=0.2))
    events: list[Event] = []
    training: set[str] = set()

    def observe(event: Event) -> None:
        events.append(event)
        if event.kind == "progress":
            training.add(str(event.fields["key"]))
        if len(training) == 2 and len(cluster.nodes) == 2:
            cluster.lose()

    outcome = runner.run(ready, observe)
    try:
        assert outcome.failed == {}
        assert text(outcome) == undisturbed
        assert len(cluster.nodes) == 1
        lost = [event.fields["error"] for event in events if event.kind == "phase-restarted"]
        assert lost
        assert all("the worker's node or actor ended" in error for error in lost)
    finally:
        if len(cluster.nodes) == 1:
            cluster.add()


def test_a_cluster_without_place_for_so_many_workers_is_refused_by_name(cluster: Nodes, store_path: Path) -> None:
    ready = prepared(store_path, on(cluster, workers=9))
    refusal = r"no place for 9 workers \(execution\.workers\).*4 CPUs together.*place for 4"
    with pytest.raises(WorkerError, match=refusal):
        runner.run(ready)
    threads = prepared(store_path, on(cluster, workers=None, threads=3))
    with pytest.raises(WorkerError, match="no place for one worker: each needs 3 CPUs of one node"):
        runner.run(threads)
    assert not (store_path / "objects").exists()


def test_an_address_where_no_cluster_is_says_what_to_do(store_path: Path) -> None:
    table = {"use": "ray", "address": "127.0.0.1:1"}
    with pytest.raises(WorkerError, match=r"no Ray cluster at '127\.0\.0\.1:1'.*ray start --head"):
        runner.run(prepared(store_path, {"execution": {"executor": table, "workers": 1}}))


def test_workers_with_another_version_of_a_component_are_refused_before_anything_trains(
    cluster: Nodes, store_path: Path
) -> None:
    config = worker_config(store_path, environment={})
    origins = tuple(replace(o, version=9) if o.name == "toy-net" else o for o in config.origins)
    executor = ray_executor(replace(config, origins=origins), 1, None, cluster.address, 1e9, 300)
    try:
        with pytest.raises(WorkerError, match=r'"toy-net".*offers version 1, not 9'):
            executor.capacity()
    finally:
        executor.shutdown()


def test_seeds_keep_to_one_environment_each_and_the_board_lists_both(cluster: Nodes, store_path: Path) -> None:
    cluster.lose()
    cluster.add(ATEN_CPU_CAPABILITY="default")
    try:
        ready = prepared(store_path, {"seeds": [0, 1, 2, 3]}, on(cluster))
        outcome = runner.run(ready, catalogue=catalogue())
    finally:
        cluster.lose()
        cluster.add()
    assert len(outcome.provenance.environments) == 2
    homes = {seed: {tuple(row.get("environments", ())) for row in rows(outcome, seed=seed)} for seed in range(4)}
    assert {len(found) for found in homes.values()} == {1}
    assert len(set(map(frozenset, homes.values()))) == 2


class TestRayExecutor(ExecutorContract):
    address = ""

    @pytest.fixture(autouse=True)
    def _address(self, cluster: Nodes) -> None:
        self.address = cluster.address

    def start(self, config: WorkerConfig, catalogue: Catalogue) -> Executor:
        return ray_executor(config, 2, None, self.address, 1e9, 300)
