"""A write into the data that a component was handed is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy_runs import catalogue, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Data, Resident
from prunebench.api.masks import Scores, Units
from prunebench.engine.data_guard import fingerprint_of
from prunebench.testing import ToyData


def copy_of(data: Data) -> Data:
    splits = {n: replace(s, images=s.images.clone(), labels=s.labels.clone()) for n, s in data.splits.items()}  # type: ignore[type-var]
    return replace(data, splits=splits)


SPOILED: dict[str, Callable[[Resident], object]] = {
    "an image": lambda split: split.images[0, 0, 0].add_(1),
    "a label": lambda split: split.labels[-1:].add_(1),
    "behind torch's back": lambda split: split.images.numpy().__setitem__((0, 0, 0, 0), 77),
    "two labels that change places": lambda split: split.labels[:2].copy_(split.labels[:2].flip(0)),
    "two images that change places": lambda split: split.images[:2].copy_(split.images[:2].flip(0)),
}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_write_into_the_data_is_seen(spoil: Callable[[Resident], object], split: str) -> None:
    data = copy_of(ToyData().prunebench_data())
    labels = data[split].labels  # type: ignore[attr-defined]
    labels[0], labels[1] = 0, 1
    before = fingerprint_of(data)
    assert fingerprint_of(data) == before
    spoil(data[split])  # type: ignore[arg-type]
    assert fingerprint_of(data) != before


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.data())
def test_any_other_byte_gives_another_fingerprint(values: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = [*values]
    other[place] = data.draw(st.integers(0, 255).filter(lambda v: v != values[place]))
    made = [
        Data(
            ToyData().prunebench_data().info,
            {"train": Resident(torch.tensor(v, dtype=torch.uint8), torch.zeros(1), (0.0,), (1.0,))},
        )
        for v in (values, other)
    ]
    assert fingerprint_of(made[0]) != fingerprint_of(made[1])


class LooksAtTest:
    """A score that looks at what it is judged on."""

    def __init__(self, config: ComponentConfig) -> None:
        self.split = config.split  # type: ignore[attr-defined]

    @hookimpl
    def prunebench_score(self, units: Units, data: Data) -> Scores:
        assert data["train"].size == 96
        assert data.info.sizes["test"] == 24
        data[self.split]
        return units.reduce(lambda name, weight: weight.abs())


class Looking(ComponentConfig):
    split: str


@pytest.mark.parametrize("split", ["test", "valid"])
def test_a_score_that_looks_at_another_split_than_train_is_named(tmp_path: Path, split: str) -> None:
    parts = catalogue().with_components([Component("looks", Looking, LooksAtTest, version=1)], "tests 1.0")
    entry = {"name": "imp", "score": {"use": "looks", "split": split}}
    outcome = run(tmp_path, {"entry": [entry]}, parts=parts)
    (error,) = {str(error) for error in outcome.failed.values()}
    assert f'looks (tests 1.0): prunebench_score asked for the split "{split}"' in error
    assert 'looks at "train" alone' in error
