"""A network that cannot be pruned as asked loses its own trials, and no other's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from torch import nn

from engine.toy_runs import INLINE, catalogue, open_store, rows
from prunebench import CannotTakePart, Component, ComponentConfig, hookimpl, load_results, runner
from prunebench.api.errors import ConfigError
from prunebench.api.masks import Units
from prunebench.benchmark.load import resolve
from prunebench.benchmark.merging import merge, normalise
from prunebench.commands.terminal.progress import display
from prunebench.components.catalogue import Catalogue
from prunebench.engine.probe import StoreProbe
from prunebench.plan.compile import make_plan
from prunebench.runner.preparing import Options, Prepared
from prunebench.testing import weight_units
from prunebench.testing.toy import TOY


class Picky:
    """Units of networks that have a ReLU in third place."""

    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        if not isinstance(model[2], nn.ReLU):  # type: ignore[index]
            raise CannotTakePart('picky: Sequential cannot be traced: module "2": no ReLU')
        return weight_units(model)


class Smooth:
    """The toy network with another activation."""

    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))


def components() -> Iterator[Component]:
    yield Component("picky", ComponentConfig, lambda config: Picky(), version=1)
    yield Component("smooth-net", ComponentConfig, lambda config: Smooth(), version=1)


def known() -> Catalogue:
    return catalogue().with_components(components(), "picky 1.0")


def prepared(store: Path, models: list[Any]) -> Prepared:
    picky = {"name": "picky", "extends": "imp", "schedule": "rewind", "units": "picky"}
    table = normalise(TOY)
    for change in (INLINE, {"report": {"axis": "density_all", "at": [0.75]}, "entry": [picky], "seeds": [0, 1]}):
        table = merge(table, normalise(change))
    table["model"] = normalise({"model": models})["model"]
    benchmark = resolve(table, known(), Path("toy.toml"))
    plan = make_plan(benchmark, StoreProbe(open_store(store), Path()))
    return Prepared(Options(Path("toy.toml"), store=store), benchmark, plan, Path(), store)


def test_other_networks_and_other_entries_go_on(store_path: Path, tmp_path: Path) -> None:
    ready = prepared(store_path, ["toy-net", "smooth-net"])
    assert [(out.entry, out.model, out.seeds) for out in ready.plan.left_out] == [("picky", "smooth-net", (0, 1))]
    outcome = runner.run(ready, catalogue=known())
    for entry, model in (("picky", "toy-net"), ("imp", "smooth-net")):
        assert {row["outcome"] for row in rows(outcome, entry=entry, model=model)} == {"ok"}
    lost = rows(outcome, entry="picky", model="smooth-net")
    assert [(row["seed"], row["outcome"], row["role"]) for row in lost] == [(s, "inapplicable", "find") for s in (0, 1)]
    assert outcome.failed == {"picky, smooth-net, toy-data": 'picky: Sequential cannot be traced: module "2": no ReLU'}
    # The run did all that the plan had.
    assert outcome.left_out == {"picky, smooth-net, toy-data"}
    assert outcome.broken == {}


def test_progress_goes_on_past_rows_of_what_was_left_out(store_path: Path) -> None:
    ready = prepared(store_path, ["toy-net", "smooth-net"])
    shown = display(Console(file=StringIO()), ready.plan, runner.status(ready, ready.open_store()).work)
    outcome = runner.run(ready, shown, known())
    shown.close()
    assert not outcome.broken


def test_the_leaderboard_shows_them_without_a_rank_and_says_why(store_path: Path, tmp_path: Path) -> None:
    ready = prepared(store_path, ["toy-net", "smooth-net"])
    runner.write(ready, runner.run(ready, catalogue=known()), tmp_path / "board")
    folder = tmp_path / "board"
    page = (folder / "README.md").read_text()
    assert "picky at 75.0 %: it does not apply to this network: picky: Sequential cannot" in page
    assert "failed" not in page
    entry = next(g for g in load_results(folder).board().groups if g.model == "smooth-net").entries["picky"]
    assert (entry.rank, entry.tried) == (None, 0)


def test_a_file_of_which_nothing_is_left_is_an_error(store_path: Path) -> None:
    benchmark = prepared(store_path, ["smooth-net"]).benchmark
    only = replace(benchmark, entries=tuple(entry for entry in benchmark.entries if entry.name == "picky"))
    with pytest.raises(ConfigError, match="smooth-net: picky: Sequential cannot be traced"):
        make_plan(only, StoreProbe(open_store(store_path), Path()))
