"""An entry that spoils what others rest on is named, and their numbers stay as they were, wherever it stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import toy_runs
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Data
from prunebench.api.masks import Scores, Units


class Spoiling:
    """Scores at random, and does something besides."""

    def __init__(self, spoil: Callable[[Data], object]) -> None:
        self._spoil = spoil

    @hookimpl
    def prunebench_score(self, data: Data, units: Units) -> Scores:
        self._spoil(data)
        return units.reduce(lambda name, weight: weight.abs())


SPOILERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "images": (lambda data: data["train"].images.zero_(), r"wrote into the data \(train\)"),
    "labels": (lambda data: data["test"].labels.add_(1), r"wrote into the data \(test\)"),
    "pixels-behind-torch": (lambda data: data["valid"].images.numpy().fill(3), r"wrote into the data \(valid\)"),
    "grad-mode": (lambda data: torch.set_grad_enabled(False), "torch's gradient mode"),
    "default-type": (lambda data: torch.set_default_dtype(torch.float64), "torch's default type"),
    "generator": (lambda data: torch.rand(3), "torch's random generator"),
    "leaving": (lambda data: sys.exit(0), "SystemExit"),
}


def spoilers() -> list[Component]:
    return [
        Component(f"spoil-{name}", ComponentConfig, lambda config, act=act: Spoiling(act), version=1)
        for name, (act, _) in SPOILERS.items()
    ]


def bad_entry(name: str) -> dict[str, Any]:
    return {"name": "bad", "schedule": "one-shot", "score": f"spoil-{name}", "select": "global", "units": "toy-units"}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_spoiled_world_is_one_entrys_own(name: str, tmp_path: Path) -> None:
    more = toy_runs.catalogue().with_components(spoilers(), "lab 0.3")
    alone = toy_runs.rows(toy_runs.run(tmp_path / "alone"))
    both = toy_runs.run(tmp_path / "both", {"entry": [bad_entry(name)]}, parts=more)
    ((trial, error),) = both.failed.items()
    assert trial.startswith("bad, ")
    assert f"component spoil-{name} (lab 0.3)" in error
    assert re.search(SPOILERS[name][1], error)
    assert [row for row in toy_runs.rows(both) if row["entry"] != "bad"] == alone
