from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest

from engine.toy_runs import FILE, catalogue, prepared
from prunebench.api.errors import ConfigError
from prunebench.benchmark.tables import Execution
from prunebench.engine.executors import choice as choice_module
from prunebench.engine.executors import memory, tables
from prunebench.engine.executors.choice import ExecutorTable, Wanted, chosen
from prunebench.engine.executors.inline import InlineExecutor
from prunebench.engine.executors.local import LocalExecutor
from prunebench.engine.executors.memory import held_memory, usable_memory
from prunebench.engine.executors.places import wanted_of, with_executor
from prunebench.engine.executors.tables import Inline, Local, Ray, Submitit
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.workers import executor_of, resources_of

IMP = {"schedule": "rewind", "select": "global", "units": "toy-units"}


@pytest.mark.parametrize(
    ("table", "workers", "kind"),
    [
        (None, None, Local),
        (None, 3, Local),
        (None, 0, Inline),
        ("inline", None, Inline),
        ("inline", 0, Inline),
        ("local", 2, Local),
        ({"use": "local", "memory_gib": 1.5}, None, Local),
        ("ray", None, Ray),
        ({"use": "ray", "address": "10.0.0.1:6379"}, 8, Ray),
        ({"use": "submitit", "parameters": {"gpus_per_node": 1}}, 8, Submitit),
    ],
)
def test_a_file_chooses_its_executor(table: Any, workers: int | None, kind: type) -> None:
    assert type(chosen(table, Wanted(workers))) is kind


@pytest.mark.parametrize(
    ("table", "workers", "message"),
    [
        ("lokal", None, r'execution\.executor\.use: no executor \'lokal\'\. Did you mean "local"'),
        ({}, None, r"execution\.executor\.use: no executor None"),
        ({"use": ["local"]}, None, r"execution\.executor\.use: no executor"),
        ({"use": "local", "memory": 3}, None, r"execution\.executor\.memory: unknown key"),
        ({"use": "local", "memory_gib": -1}, None, r"execution\.executor\.memory_gib: must be greater than 0"),
        ({"use": "inline", "silent_hours": 1}, None, r"execution\.executor\.silent_hours: unknown key"),
        ("inline", 2, r'"inline" does not go with execution\.workers = 2'),
        ("local", 0, r'"local" does not go with execution\.workers = 0'),
        ("ray", 0, r'"ray" does not go with execution\.workers = 0'),
        ({"use": "ray", "adress": "auto"}, None, r'execution\.executor\.adress: unknown key.*"address"'),
        ("submitit", None, "say how many with execution.workers"),
        ({"use": "submitit", "cluster": "pbs"}, 2, r"execution\.executor\.cluster"),
    ],
)
def test_a_wrong_choice_is_an_error_that_names_the_key(table: Any, workers: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen(table, Wanted(workers))


def test_a_wrong_choice_is_found_when_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(FILE.replace("workers = 0", 'executor = "slurn"'))
    with pytest.raises(ConfigError, match="no executor 'slurn'"):
        prepare(Options(file, store=tmp_path / "store"), catalogue())


def test_the_executor_of_a_file_is_started(store_path: Path) -> None:
    inline = prepared(store_path, {"execution": {"executor": "inline"}})
    assert isinstance(executor_of(inline, inline.open_store(), catalogue()), InlineExecutor)
    table = {"use": "local", "memory_gib": 2.0, "silent_hours": 0.5}
    local = prepared(store_path, {"execution": {"workers": 3, "executor": table}})
    executor = executor_of(local, local.open_store(), catalogue())
    assert isinstance(executor, LocalExecutor)
    assert (len(executor._slots), executor._silence) == (3, 1800.0)


def test_what_sends_data_through_a_network_needs_a_device_and_nothing_else_does(store_path: Path) -> None:
    execution = {"workers": 1, "threads": 2, "executor": {"use": "local", "memory_gib": 2.0}}
    entries = [
        {"name": "imp", **IMP, "score": "magnitude", "analyse": ["norms"]},
        {"name": "snip", **IMP, "score": "snip", "analyse": ["threshold"]},
        {"name": "shuffled", "tickets": "imp", "ticket": ["reinit"]},
    ]
    ready = prepared(store_path, {"execution": execution}, entry=entries)
    needs = resources_of(ready, catalogue())
    found: dict[str, set[float]] = {}
    for key in ready.plan.wanted:
        phase = ready.plan.phases[key]
        part = getattr(phase.spec, "score", None) or getattr(phase.spec, "analysis", None)
        found.setdefault(phase.kind if part is None else part.use, set()).add(needs(phase).device)
        assert (needs(phase).threads, needs(phase).memory) == (2, 2 * 2**30)
    assert found == {
        "init": {0.0},
        "train": {1.0},
        "edit": {0.0},
        "magnitude": {0.0},
        "snip": {1.0},
        "norms": {0.0},
        "threshold": {0.0},
    }


def test_by_default_a_worker_may_hold_most_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    usable = usable_memory()
    assert usable is not None
    assert Local().memory == int(usable * 0.9)
    assert Inline().memory is None
    monkeypatch.setattr(tables, "usable_memory", lambda: None)
    assert Local().memory is None


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "limit").write_text("1073741824\n")
    (tmp_path / "none").write_text("max\n")
    assert usable_memory([str(tmp_path / "limit")]) == 2**30
    assert usable_memory([str(tmp_path / "none"), str(tmp_path / "missing")]) == usable_memory([])


def test_what_a_process_holds_is_seen_and_nothing_of_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    assert held_memory(os.getpid()) > 2**20
    assert held_memory(None) == 0
    assert memory.held_memory(2**22 + 1) == 0


@pytest.mark.parametrize(
    ("execution", "name", "workers"),
    [
        ({"workers": 4}, "inline", None),
        ({"workers": 4}, "ray", 4),
        ({"workers": 0}, "local", None),
        ({"workers": 2, "executor": {"use": "local", "memory_gib": 2.0}}, "local", 2),
    ],
)
def test_the_command_line_takes_another_executor_than_the_file(
    execution: dict[str, Any], name: str, workers: int | None
) -> None:
    table = with_executor(Execution.model_validate(execution), name)
    assert table.workers == workers
    choice = chosen(table.executor, wanted_of(table))
    assert choice.use == name
    if "executor" in execution:
        assert choice.memory == 2 * 2**30


class Foreign(ExecutorTable):
    """An executor that another distribution would bring."""

    use: Literal["foreign"] = "foreign"
    price: float = 1.0


def points(*values: tuple[str, str]) -> Callable[..., list[EntryPoint]]:
    return lambda group: [EntryPoint(name, value, group) for name, value in values]


def test_an_executor_comes_from_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_module, "entry_points", points(("foreign", f"{__name__}:Foreign")))
    assert chosen({"use": "foreign", "price": 2.0}) == Foreign(price=2.0)
    with pytest.raises(ConfigError, match=r'execution\.executor\.prize: unknown key.*"price"'):
        chosen({"use": "foreign", "prize": 2.0})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([("foreign", "a:X"), ("foreign", "b:X")], 'two distributions offer "foreign"'),
        ([("foreign", "no_such_module:X")], r'"foreign" of .* cannot be imported: No module named'),
        ([("foreign", "json:dumps")], r'"foreign" of .* is no ExecutorTable'),
    ],
)
def test_an_executor_that_is_none_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, found: list[tuple[str, str]], message: str
) -> None:
    monkeypatch.setattr(choice_module, "entry_points", points(*found))
    with pytest.raises(ConfigError, match=message):
        chosen("foreign")
