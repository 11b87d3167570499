"""Slots on devices: what a file may ask for, and what a worker sees of a device. No GPU is needed: CUDA is made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import environment, install, prepared
from prunebench import runner
from prunebench.api.errors import ConfigError
from prunebench.engine.executors import slots
from prunebench.engine.executors.api import Resources
from prunebench.engine.executors.choice import Wanted, chosen
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.slots import Slot, capacity_of, devices_here, physical, slots_on
from prunebench.store.environment import Environment

GIB = 2**30


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores with two GPUs of 4 GiB, of different models."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(slots, "cuda_devices", lambda: 2)
    monkeypatch.setattr(slots, "_cuda_memory", lambda device: 4 * GIB)
    monkeypatch.setattr(slots, "fingerprint", lambda device, threads: Environment({"device": device}))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.usefixtures("two_gpus")
def test_all_devices_are_the_gpus_and_without_any_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices_here("all") == ["cuda:0", "cuda:1"]
    assert devices_here(["cuda", "cpu"]) == ["cuda:0", "cpu"]
    monkeypatch.setattr(slots, "cuda_devices", lambda: 0)
    assert devices_here("all") == ["cpu"]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (["cuda:2"], r'execution\.devices\[0\]: no device "cuda:2" here: there are cpu, cuda:0, cuda:1'),
        (["cuda:0", "gpu"], r'execution\.devices\[1\]: torch knows no device "gpu"'),
        (["cuda:0", "cuda:0"], r'execution\.devices\[1\]: "cuda:0" is named twice; `slots`'),
        (["cuda", "cuda:0"], r'execution\.devices\[1\]: "cuda:0" is named twice'),
    ],
)
def test_a_device_that_is_not_there_or_twice_is_an_error_that_names_it(devices: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        devices_here(devices)


@pytest.mark.usefixtures("two_gpus")
def test_a_slot_on_a_gpu_sees_that_gpu_alone_and_the_processor_has_slots_of_its_own() -> None:
    made = slots_on(["cuda:0", "cuda:1"], 2, 1)
    on_devices = [slot for slot in made if slot.does == "device"]
    assert [slot.variables["CUDA_VISIBLE_DEVICES"] for slot in on_devices] == ["0", "0", "1", "1"]
    assert {slot.device for slot in on_devices} == {"cuda"}
    beside = [slot for slot in made if slot.does == "processor"]
    assert len(beside) == 4
    assert all(slot.device == "cpu" and slot.variables == {"CUDA_VISIBLE_DEVICES": ""} for slot in beside)
    assert [(one.environment.fields["device"], one.slots) for one in capacity_of(made)] in (
        [("cuda:0", 2), ("cuda:1", 2)],
        [("cuda:1", 2), ("cuda:0", 2)],
    )


def test_numbers_count_among_the_devices_that_this_process_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5a")
    assert [physical("cuda:0"), physical("cuda:1")] == ["3", "GPU-5a"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert physical("cuda:1") == "1"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "count", "message"),
    [
        ("cuda:0", 5, r"execution\.slots: 5 on cuda:0, and it allows 4: each worker takes about 1 GiB of its 4 GiB"),
        ("cpu", 5, r"execution\.slots: 5 on cpu, and it allows 4: this process may use 8 cores, .* has 2 threads"),
        ("mps", 2, r"execution\.slots: 2 on mps, and it allows 1: only the processor and CUDA devices are shared"),
    ],
)
def test_more_slots_than_a_device_allows_are_an_error_that_says_why(device: str, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        slots_on([device], count, 2)


@pytest.mark.parametrize(
    ("wanted", "table", "message"),
    [
        (Wanted(workers=2, devices="all"), "local", "both say how many workers there are; `slots` is for a device"),
        (Wanted(workers=2, slots=2), None, "execution.workers and execution.slots both say how many"),
        (Wanted(slots=2), "inline", '"inline" computes in one process'),
        (Wanted(devices=("cuda:0",)), "ray", 'devices of this machine, and "ray" gives out those of others'),
        (Wanted(workers=2, slots=2), "submitit", "one worker in each job"),
    ],
)
def test_what_does_not_go_together_is_said_when_the_file_is_read(wanted: Wanted, table: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen(table, wanted)


@pytest.mark.parametrize(("use", "module", "extra"), [("ray", "ray", "ray"), ("submitit", "submitit", "slurm")])
def test_an_executor_whose_extra_is_missing_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, use: str, module: str, extra: str
) -> None:
    from prunebench.engine.executors import tables

    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf'not installed: pip install "prunebench\[{extra}\]"'):
        chosen(use, Wanted(workers=2))


def test_device_and_devices_are_one_or_the_other(store_path: Path) -> None:
    with pytest.raises(ConfigError, match="`device` and `devices` say the same"):
        prepared(store_path, {"execution": {"workers": None, "device": "cpu", "devices": ["cpu"]}})


def test_an_unknown_device_ends_a_run_before_anything_trains(store_path: Path) -> None:
    execution = {"workers": None, "device": "auto", "devices": ["cpu", "cuda:7"]}
    with pytest.raises(ConfigError, match=r'execution\.devices\[1\]: no device "cuda:7" here'):
        runner.run(prepared(store_path, {"execution": execution}))
    assert not (store_path / "objects").exists()


def test_work_goes_to_slots_that_serve_it() -> None:
    here, there = Environment({"device": "a"}), Environment({"device": "b"})
    device = Slot("cuda", {}, here, "device")
    processor = Slot("cpu", {}, here, "processor")
    everything = Slot("cpu", {}, there)
    assert device.serves(Resources(1.0))
    assert not device.serves(Resources(0.0))
    assert processor.serves(Resources(0.0))
    assert not processor.serves(Resources(1.0))
    assert everything.serves(Resources(0.0))
    assert everything.serves(Resources(1.0))
    assert device.serves(Resources(environment=here.id))
    assert not device.serves(Resources(environment=there.id))
    assert not Slot("cpu").serves(Resources(environment=here.id))


SCRIPT = """
import json, os, sys
from pathlib import Path
from prunebench.engine.executors import local
from prunebench.engine.executors.slots import Slot

class Told:
    def send(self, event): print(json.dumps(event), flush=True)
    def recv(self): return None

class Early:
    def __init__(self, config):
        print(json.dumps({"torch": "torch" in sys.modules, "sees": os.environ["CUDA_VISIBLE_DEVICES"]}), flush=True)
        raise SystemExit(0)

local.Worker = Early
local._worker_main(Told(), None, {"CUDA_VISIBLE_DEVICES": "1"})
"""


def test_a_worker_is_given_its_device_before_it_imports_torch(tmp_path: Path) -> None:
    variables = environment(install(tmp_path / "site"), CUDA_VISIBLE_DEVICES="0,1")
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=variables, capture_output=True, text=True, timeout=300)
    # What is printed in a worker goes to standard error.
    assert json.loads(done.stderr.splitlines()[0]) == {"torch": False, "sees": "1"}, done.stderr


@pytest.mark.usefixtures("quick_workers")
def test_a_run_on_slots_gives_the_bytes_of_one_in_the_calling_process(store_path: Path, undisturbed: bytes) -> None:
    from engine.toy_runs import text

    execution = {"workers": None, "device": "auto", "devices": ["cpu"], "slots": 1}
    outcome = runner.run(prepared(store_path, {"execution": execution}))
    assert text(outcome) == undisturbed
    assert outcome.provenance.environments == {}


def test_slots_of_a_machine_are_counted_without_starting_a_worker(store_path: Path) -> None:
    from prunebench.engine.executors.places import slots_here

    for execution, count in (
        ({"workers": 3}, 3),
        ({"workers": 0}, 1),
        ({"workers": None, "slots": 1}, 1),
        ({"workers": None, "device": "auto", "devices": ["cpu"], "slots": 1}, 1),
    ):
        assert slots_here(prepared(store_path, {"execution": execution}).benchmark.execution) == count


def test_room_is_that_of_the_slots_that_serve(store_path: Path) -> None:
    from engine.toy_runs import here, worker_config

    made = [Slot("cpu", {}, here(), "device"), Slot("cpu", {}, here(), "processor")]
    executor = LocalExecutor(worker_config(store_path), made, silence=1e9)
    assert executor.has_room(Resources(1.0))
    assert executor.has_room(Resources(0.0))
    assert not executor.has_room(Resources(environment="0" * 16))
    assert [(one.environment.id, one.slots) for one in executor.capacity()] == [(here().id, 1)]
