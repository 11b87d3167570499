"""A run that is killed at any moment goes on to the same bytes: nothing half-written is ever read."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import FILE, environment, open_store, run, text
from prunebench.api.events import Event
from prunebench.engine.stopping import stoppable

LONGER = {"train": {"horizon": "110it"}, "measure": {"every": "25it"}, "execution": {"checkpoint_seconds": 0}}
KILLS = 20


def runs_and_tells(connection: Connection, store: Path) -> None:
    """A run that tells each of its events; the process of a victim."""
    connection.send("begins")

    def tell(event: Event) -> None:
        if event.kind != "row":
            connection.send(event.kind)

    run(store, LONGER, observe=tell)


def killed(nursery: BaseContext, store: Path, after: int, wait: float) -> int:
    """Kill a run a moment after a number of events; its exit code."""
    ours, theirs = nursery.Pipe()
    victim: Any = nursery.Process(target=runs_and_tells, args=(theirs, store))  # type: ignore[attr-defined]
    victim.start()
    theirs.close()
    try:
        for _ in range(after + 1):
            ours.recv()
        time.sleep(wait)
    except EOFError:
        pass
    victim.kill()
    victim.join()
    ours.close()
    code: int = victim.exitcode
    return code


def test_a_run_that_is_killed_twenty_times_gives_the_same_bytes(nursery: BaseContext, tmp_path: Path) -> None:
    events: list[str] = []
    began = time.monotonic()
    wanted = text(run(tmp_path / "undisturbed", LONGER, observe=lambda event: events.append(event.kind)))
    moment = (time.monotonic() - began) / len(events)
    count = sum(kind != "row" for kind in events)
    choice = random.Random(7)
    codes = []
    for number in range(KILLS):
        # Each store is left by two killed runs before a third finishes it.
        store = tmp_path / f"store-{number // 2}"
        after = choice.randrange(count // 2) if number % 2 == 0 else choice.randrange(3)
        codes.append(killed(nursery, store, after, choice.uniform(0, 3 * moment)))
        if number % 2 == 1:
            assert text(run(store, LONGER)) == wanted
            assert all(sound for _, sound in open_store(store).scan())
            assert not list(store.rglob("*.bad"))
    assert codes.count(-signal.SIGKILL) >= KILLS // 2


# The command itself, with its workers.


def start(
    store: Path,
    folder: Path,
    installed: Path,
    horizon: str = "1600it",
    settings: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    content = FILE.replace("workers = 0", "workers = 1, checkpoint_seconds = 0").replace("24it", horizon)
    if horizon != "1600it":
        content = content.replace('every = "8it"', 'every = "50%"')
    for old, new in (settings or {}).items():
        content = content.replace(old, new)
    file = folder / "toy.toml"
    file.write_text(content)
    command = "import sys; from prunebench.commands.main import main; main()"
    arguments = ["run", str(file), "--store", str(store), "--out", str(folder / "board")]
    return subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        env=environment(installed),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a process does."""
    while not true():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def records(store: Path) -> int:
    return sum(1 for _ in store.rglob("record.json"))


@pytest.fixture
def processes() -> Any:
    """Ends what a failed test leaves."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_command_is_interrupted_and_its_group_killed_and_the_results_are_the_same(
    tmp_path: Path, installed: Path, processes: list[subprocess.Popen[str]]
) -> None:
    changes = {"train": {"horizon": "1600it"}}
    wanted = text(run(tmp_path / "undisturbed", changes))
    store = tmp_path / "store"

    processes.append(start(store, tmp_path, installed))
    until(lambda: records(store) >= 1, processes[-1])
    # As Ctrl-C does: to every process of the group.
    os.killpg(processes[-1].pid, signal.SIGINT)
    _, shown = processes[-1].communicate()
    assert processes[-1].returncode == 130, shown
    assert "Stopped." in shown
    assert "the same command goes on from there" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "board").exists()

    before = records(store)
    processes.append(start(store, tmp_path, installed))
    until(lambda: records(store) > before, processes[-1])
    os.killpg(processes[-1].pid, signal.SIGKILL)
    assert processes[-1].wait() == -signal.SIGKILL

    assert text(run(store, changes)) == wanted
    assert all(sound for _, sound in open_store(store).scan())


@pytest.mark.parametrize("workers", [0, 1])
def test_sigterm_checkpoints_says_so_and_the_next_run_goes_on(
    tmp_path: Path, installed: Path, processes: list[subprocess.Popen[str]], workers: int
) -> None:
    store = tmp_path / "store"
    # Checkpoints are written only when asked for: what is there afterwards is the work of SIGTERM.
    settings = {"workers = 1": f"workers = {workers}", "checkpoint_seconds = 0": "checkpoint_seconds = 1e6"}
    process = start(store, tmp_path, installed, horizon="400000it", settings=settings)
    processes.append(process)
    until(lambda: records(store) >= 1, process)
    time.sleep(1)
    began = time.monotonic()
    # As a batch system does: to every process of the group.
    os.killpg(process.pid, signal.SIGTERM)
    _, shown = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, shown
    assert time.monotonic() - began < 30
    assert "Stopped by SIGTERM." in shown
    assert "the same command goes on from there" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "board").exists()
    assert [path for path in (store / "scratch").rglob("*") if path.is_file()]


def test_a_stopped_holder_is_named_while_a_second_process_waits(
    tmp_path: Path, installed: Path, processes: list[subprocess.Popen[str]]
) -> None:
    store = tmp_path / "store"
    holder = start(store, tmp_path, installed, horizon="400000it")
    processes.append(holder)
    until(lambda: any((store / "scratch").rglob("*")), holder)
    os.killpg(holder.pid, signal.SIGSTOP)
    (tmp_path / "second").mkdir()
    second = start(store, tmp_path / "second", installed, horizon="400000it")
    processes.append(second)
    assert second.stderr is not None
    lines = iter(second.stderr.readline, "")
    waiting = next(line for line in lines if line.startswith("waiting: "))
    # The holder is the worker of the first command, on this machine.
    assert f" on {socket.gethostname()}, since 20" in waiting
    assert "held by process " in waiting
    assert second.poll() is None
    os.killpg(holder.pid, signal.SIGCONT)


def test_a_second_sigterm_does_not_wait(tmp_path: Path) -> None:
    script = (
        "import os, signal, time\n"
        "from prunebench.engine.stopping import stoppable\n"
        "asked = []\n"
        "with stoppable(asked.append, 60):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert asked == [signal.SIGTERM]\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "interrupted\n"


def test_work_that_does_not_look_up_is_interrupted_when_patience_ends() -> None:
    script = (
        "import os, signal, time\n"
        "from prunebench.engine.stopping import stoppable\n"
        "with stoppable(lambda number: None, 0.3):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
        "assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "interrupted\n"


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stoppable(lambda number: None, 1.0):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
