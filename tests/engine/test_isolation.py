"""An entry that spoils what others rest on is named, and their numbers stay as they were, wherever it stands."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from engine import toy_runs
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Data
from prunebench.api.events import Event
from prunebench.api.masks import Scores, Units


def black(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images * 0


class Spoiling:
    """Scores at random, and does something besides."""

    def __init__(self, spoil: Callable[[Data], object]) -> None:
        self._spoil = spoil

    @hookimpl
    def prunebench_score(self, data: Data, units: Units) -> Scores:
        self._spoil(data)
        return units.reduce(lambda name, weight: weight.abs())


TRAIN = r"wrote into the data \(train\)"

SPOILERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "images": (lambda data: data["train"].images.zero_(), TRAIN),
    "labels": (lambda data: data["test"].labels.add_(1), 'asked for the split "test"'),
    "pixels-behind-torch": (lambda data: data["valid"].images.numpy().fill(3), 'asked for the split "valid"'),
    "pixels-through-a-view": (
        lambda data: data["train"].images.view(-1)[:9].fill_(1),
        TRAIN,
    ),
    "pixels-in-memory": (
        lambda data: data["train"].images.untyped_storage().fill_(1),
        TRAIN,
    ),
    "other-tensor": (lambda data: setattr(data["train"].images, "data", data["train"].images * 0), r"\(train\)"),
    "normalisation": (lambda data: object.__setattr__(data["train"], "mean", (9.0,)), TRAIN),
    "augmentation": (
        lambda data: object.__setattr__(data["train"], "augment", black),
        TRAIN,
    ),
    "split-gone": (lambda data: data.splits.pop("test"), "KeyError: 'test'"),
    "split-exchanged": (lambda data: data.splits.update(train=data["test"]), 'asked for the split "test"'),
    "module-hooks": (
        lambda data: register_module_forward_hook(lambda layer, x, y: y * 0),
        "global forward hooks",
    ),
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


def test_a_write_that_comes_later_from_a_thread_spoils_nothing(tmp_path: Path) -> None:
    """Work that began before it fails; what begins afterwards begins with sound data."""
    writers: list[threading.Thread] = []

    def later(data: Data) -> None:
        def write() -> None:
            time.sleep(0.2)
            data["train"].images.fill_(7)  # type: ignore[attr-defined]

        writers.append(threading.Thread(target=write, daemon=True))
        writers[-1].start()

    def wait(event: Event) -> None:
        # Nothing else has begun when a pruning is done: all that its writers spoil is read anew.
        if event.kind == "phase-done" and event.fields["phase"] == "prune":
            for writer in writers:
                writer.join(5)

    bad = Component("later", ComponentConfig, lambda config: Spoiling(later), version=1)
    more = toy_runs.catalogue().with_components([bad], "lab 0.3")
    alone = toy_runs.rows(toy_runs.run(tmp_path / "alone"))
    entry = {**bad_entry("images"), "score": "later"}
    both = toy_runs.run(tmp_path / "both", {"entry": [entry]}, observe=wait, parts=more)
    assert writers
    assert not any(writer.is_alive() for writer in writers)
    assert [row for row in toy_runs.rows(both) if row["entry"] != "bad"] == alone
