"""The toy benchmark on a store of the test's own."""

from __future__ import annotations

import multiprocessing
import os
import sys
from importlib.metadata import entry_points
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from engine import toy_runs
from engine.toy_runs import Workshop
from prunebench.components.managers import GROUP
from prunebench.engine.executors.nursery import PRELOAD, warm


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def workshop(store_path: Path) -> Workshop:
    return Workshop(store_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """results.jsonl of the toy benchmark, made in one go."""
    return toy_runs.text(toy_runs.run(tmp_path_factory.mktemp("undisturbed") / "store"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toys and the parts as an installed distribution, for whatever loads its own catalogue."""
    toy_runs.catalogue()
    folder = toy_runs.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture(scope="session")
def nursery() -> BaseContext:
    """Processes that start at once: forked off the server of workers, which has the toys loaded beside."""
    context = multiprocessing.get_context("forkserver")
    plugins = [point.module for point in entry_points(group=GROUP)]
    context.set_forkserver_preload([PRELOAD, "engine.toy_runs", "prunebench.engine.executors.local", *plugins])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in [str(toy_runs.TESTS), *sys.path] if path))
        warm(context)
    return context


@pytest.fixture
def quick_workers(nursery: BaseContext) -> None:
    """Local workers have the toys loaded when they start; all else about them is as always."""
