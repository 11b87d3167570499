"""Whatever a file holds, reading and planning it ends in seconds with a plan or with sentences.

PRUNEBENCH_FUZZ_CASES=100000 tries as many cases as that (`tox -e fuzz`). A case that fails is named by its number, and
`benchmark.hostile.case(NUMBER, Catalogue.load())` is that file again.
"""

from __future__ import annotations

import os
import resource
import time
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from benchmark.hostile import SOUND, Case, case

from prunebench.api.component import BoundComponent
from prunebench.api.errors import ConfigError
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.load import read
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import make_plan
from prunebench.plan.first_step import FirstStep
from prunebench.plan.published import FirstWeights
from prunebench.plan.scoring import Scoring
from prunebench.plan.specs import WeightFile

CASES = int(os.environ.get("PRUNEBENCH_FUZZ_CASES", "0"))
SECONDS = 20
"""How long it is tried where no number of cases is given."""
LONGEST = 10
"""Seconds of one case."""
MEMORY = 2 * 1024**3


class KnownSizes:
    """A probe that reads nothing."""

    def data(self, chosen: DataChoice) -> DataInfo:
        return DataInfo("mnist5k", "0" * 64, {"train": 4_000, "valid": 500, "test": 500}, (1, 28, 28), 10)

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        layers = (
            Layer("fc1.weight", 0, 235_200),
            Layer("fc2.weight", 235_200, 30_000),
            Layer("head.weight", 265_200, 1_000),
        )
        return ModelInfo(chosen.label, 266_610, layers)

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        return FirstWeights(WeightFile(chosen.weights or "", "0" * 64))

    def first_step(self, chosen: ModelChoice, step: FirstStep) -> str:
        return ""

    def ask_score(self, chosen: ModelChoice, scoring: Scoring) -> None:
        return None


@cache
def catalogue() -> Catalogue:
    return Catalogue.load()


def outcome(one: Case, file: Path) -> tuple[str, ...]:
    """The errors of a file, those of its plan among them."""
    file.write_bytes(one.text)
    reading = read(file, catalogue(), **one.changes)
    errors = reading.errors
    if reading.benchmark is not None:
        try:
            make_plan(reading.benchmark, KnownSizes())
        except ConfigError as error:
            errors += error.errors
    return errors


def test_the_file_that_is_changed_is_right(tmp_path: Path) -> None:
    assert outcome(Case(SOUND.encode()), tmp_path / "sound.toml") == ()


@pytest.mark.filterwarnings("ignore")
def test_a_hostile_file_is_planned_or_refused(tmp_path: Path) -> None:
    began = time.process_time()
    refused = 0
    for number in count():
        if number == CASES if CASES else time.process_time() - began > SECONDS:
            break
        one, start = case(number, catalogue()), time.process_time()
        try:
            errors = outcome(one, tmp_path / "hostile.toml")
        except (Exception, SystemExit) as error:
            raise AssertionError(f"case {number} ({one.changes}) is not refused with a sentence") from error
        assert time.process_time() - start < LONGEST, f"case {number}"
        assert all(len(error) < 20_000 for error in errors), f"case {number}"
        assert all(error.startswith(("hostile.toml: ", str(tmp_path), "..")) for error in errors), (
            f"case {number}: {errors}"
        )
        refused += bool(errors)
    assert refused > number / 2
    if CASES:  # in a process of its own
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY
