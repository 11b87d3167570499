"""Two processes on one store: each does what the other does not, and both read the same results off."""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from engine.toy_runs import Trained, open_store, prepared, run, text

TWO_SEEDS = {"seeds": [0, 1], "train": {"horizon": "120it"}, "measure": {"every": "25it"}}


def runs_and_answers(connection: Connection, store: Path) -> None:
    prepared(store, TWO_SEEDS)
    connection.send("ready")
    connection.recv()
    trained = Trained()
    outcome = run(store, TWO_SEEDS, observe=trained)
    connection.send((text(outcome), sorted(trained.keys), outcome.failed))


def test_two_processes_share_the_work_and_train_nothing_twice(nursery: BaseContext, store_path: Path) -> None:
    pairs: list[Any] = []
    for _ in range(2):
        ours, theirs = nursery.Pipe()
        process: Any = nursery.Process(target=runs_and_answers, args=(theirs, store_path))  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        pairs.append((process, ours))
    for _, ours in pairs:
        assert ours.recv() == "ready"
    for _, ours in pairs:
        ours.send("go")
    (first, trained_first, failed_first), (second, trained_second, failed_second) = [ours.recv() for _, ours in pairs]
    for process, _ in pairs:
        process.join()
    assert failed_first == failed_second == {}
    assert first == second
    assert set(trained_first).isdisjoint(trained_second)
    assert {*trained_first, *trained_second} == {phase.key for phase in prepared(store_path, TWO_SEEDS).plan.runs}
    assert all(sound for _, sound in open_store(store_path).scan())
    again = run(store_path, TWO_SEEDS)
    assert (text(again), again.execution.done) == (first, 0)
