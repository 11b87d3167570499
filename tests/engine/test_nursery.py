"""The server that workers are forked off: it only imports, and what it forks is as the calling process is now."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import worker_config
from prunebench.engine.environment import accelerators
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.nursery import born, done_aside, nursery, warm
from prunebench.engine.executors.slots import Slot

IMPORTS = """
import sys, torch
asked = []
for owner, names in (
    (torch._C, ("_cuda_getDeviceCount", "_cuda_init")),
    (torch.cuda, ("is_available", "device_count", "_lazy_init", "current_device")),
):
    for name in names:
        if hasattr(owner, name):
            setattr(owner, name, lambda *given, name=name: asked.append(name) or 0)
import prunebench.engine.executors.preload
print(asked, [name for name in ("torch._dynamo", "timm", "prunebench.engine.workbench") if name not in sys.modules])
"""


def test_the_server_asks_cuda_nothing_so_that_workers_may() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_what_cannot_be_imported_does_not_end_the_server() -> None:
    blocked = "import sys; sys.modules['timm'] = None; import prunebench.engine.executors.preload"
    subprocess.run([sys.executable, "-c", blocked], check=True)


def tells(connection: Connection[Any, Any]) -> None:
    """What a process sees."""
    import torch

    torch.set_num_threads(2)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    product = float((torch.ones(400, 400) @ torch.ones(400, 400)).mean())
    connection.send((sorted(held), product, "prunebench.engine.workbench" in sys.modules))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are new ones")
def test_a_process_computes_with_threads_and_holds_back_signals_until_it_has_learned_to_ignore_them() -> None:
    context = nursery()
    ours, theirs = context.Pipe()
    process = born(context, tells, (theirs,), script=False)
    theirs.close()
    assert ours.recv() == ([signal.SIGINT, signal.SIGTERM], 400.0, True)
    process.join()
    assert process.exitcode == 0


@pytest.mark.usefixtures("quick_workers")
def test_a_worker_has_the_variables_of_now_although_the_server_began_earlier(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = worker_config(store_path, environment={})  # torch in this process has looked at its own by now
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    executor = LocalExecutor(config, [Slot("cpu")], silence=1e9)
    try:
        assert str(executor.environment(300).fields["instructions"]).endswith("DEFAULT")
    finally:
        executor.shutdown()


def notes(place: Path) -> None:
    """Where it is called, and what it sees."""
    place.write_text(f"{os.getcwd()} {os.environ.get('NOTED')} {'torch' in sys.modules}")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no server")
def test_what_is_done_aside_is_done_in_the_surroundings_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTED", "now")
    done_aside(notes, Path("noted"))
    assert (tmp_path / "noted").read_text() == f"{tmp_path} now True"


COLD = """
import sys
from prunebench.commands.main import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""
FILE = """
schema = 1
seeds = [0, 1]
data = "mnist5k"
model = { name = "lenet_300_100" }
train = { horizon = "4it", batch = 8, optimizer = { use = "sgd", lr = 0.1 } }
execution = { device = "cpu", workers = 1 }
[[entry]]
name = "dense"
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or accelerators(), reason="the command itself imports torch")
def test_a_run_on_a_cold_store_leaves_torch_to_its_workers(tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(FILE)
    known = "from prunebench.engine.environment import fingerprint; fingerprint('cpu', 1)"
    words = ["run", "file.toml", "--store", "store", "--out", "board", "--json"]
    cold = {**os.environ, "PRUNEBENCH_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", known], env=cold, check=True)  # once a machine
    done = subprocess.run(
        [sys.executable, "-c", COLD, *words], cwd=tmp_path, env=cold, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert (tmp_path / "board" / "results.jsonl").exists()
