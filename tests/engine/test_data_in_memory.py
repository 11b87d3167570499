"""A worker reads a data set once: another seed's split is made of what is in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.toy_runs import catalogue, open_store, prepared
from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.api.random import Rng
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import ComponentSpec, DataSpec
from prunebench.testing import ToyData

reads: list[str] = []


class Counted:
    """ToyData whose training images are in another order for each seed."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_data(self, rng: Rng) -> Data:
        reads.append(rng.name)
        data: Data = ToyData().prunebench_data()

        def divided(rng: Rng) -> Data:
            train: Any = data["train"]
            order = torch.from_numpy(rng.permutation(train.size))
            mixed = replace(train, images=train.images[order], labels=train.labels[order])
            return replace(data, splits={**data.splits, "train": mixed}, again=divided)

        return divided(rng)


COMPONENT = Component("counted", ComponentConfig, Counted, version=1)


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    reads.clear()
    parts = catalogue().with_components([COMPONENT], "parts 1.0")
    return Workbench(open_store(tmp_path), parts, tmp_path, "cpu")


def spec(workbench: Workbench, digest: str | None = None) -> DataSpec:
    use = workbench.catalogue.use({"use": "counted"}, slot="data", where="data")
    return DataSpec(**vars(ComponentSpec.of(use)), digest=digest or ToyData().prunebench_data().info.digest)


def images(data: Data) -> torch.Tensor:
    train: Any = data["train"]
    return train.images


def test_seeds_that_take_turns_read_the_source_once(workbench: Workbench) -> None:
    asked = spec(workbench)
    first = [images(workbench.data(asked, seed)).clone() for seed in (0, 1, 0, 2, 1)]
    assert len(reads) == 1
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1], first[4])
    assert not torch.equal(first[0], first[1])
    fresh = Counted(ComponentConfig()).prunebench_data(rng=Rng("1/split/0/0/0"))
    assert torch.equal(images(fresh), first[1])


def test_a_source_that_changed_is_read_again(workbench: Workbench) -> None:
    with pytest.raises(ContractError, match="the files changed since the run was planned"):
        workbench.data(spec(workbench, "another"), 0)
    workbench.data(spec(workbench), 0)
    assert len(reads) == 2


def test_what_a_component_wrote_into_is_not_divided_again(workbench: Workbench) -> None:
    asked = spec(workbench)
    lender = workbench.catalogue.use({"use": "snip"}, slot="score", where="score")

    def write() -> None:
        with workbench.lent(asked, 0, lender, "prunebench_score") as data:
            assert data is not None
            images(data).zero_()

    with pytest.raises(ContractError, match="wrote into the data"):
        write()
    workbench.data(asked, 1)
    assert len(reads) == 2


def test_a_plan_of_two_seeds_reads_the_source_once_whatever_the_order_of_its_trainings(tmp_path: Path) -> None:
    reads.clear()
    parts = catalogue().with_components([COMPONENT], "parts 1.0")
    entry = {"name": "imp", "schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
    ready = prepared(tmp_path / "store", parts=parts, data="counted", seeds=[0, 1], rounds=3, entry=[entry])
    assert len(ready.plan.runs) >= 8
    planned = len(reads)
    outcome = runner.run(ready, catalogue=parts)
    assert outcome.failed == {}
    assert len(reads) == planned + 1
