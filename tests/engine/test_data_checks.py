"""Data that contradicts what it says of itself is refused: the plan follows from what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from engine.toy_runs import catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.engine.data_checks import check_sizes, checked_info
from prunebench.testing import ToyData

TOY = ToyData().prunebench_data()


def test_sound_data_passes() -> None:
    assert checked_info(TOY, "data toy") is TOY.info
    check_sizes(TOY, "data toy")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "prunebench_data gave NoneType, not Data"),
        (replace(TOY, info=None), "its info is no DataInfo"),  # type: ignore[arg-type]
        (replace(TOY, info=replace(TOY.info, digest=7)), "its info is no DataInfo"),  # type: ignore[arg-type]
        (replace(TOY, info=replace(TOY.info, shape=(1, 0, 4))), "the shape of its info"),
        (replace(TOY, info=replace(TOY.info, sizes={"train": -5})), "the sizes of its info"),
    ],
)
def test_an_info_that_is_none_is_refused(data: Any, told: str) -> None:
    with pytest.raises(ContractError, match=f"^data toy: {told}"):
        checked_info(data, "data toy")


@pytest.mark.parametrize(
    "sizes",
    [
        {**TOY.info.sizes, "train": 10**12},
        {name: size for name, size in TOY.info.sizes.items() if name != "test"},
        {**TOY.info.sizes, "more": 3},
    ],
)
def test_splits_of_other_sizes_than_were_told_are_refused(sizes: Mapping[str, int]) -> None:
    with pytest.raises(ContractError, match=r"^data toy: its info says that"):
        check_sizes(replace(TOY, info=replace(TOY.info, sizes=sizes)), "data toy")


class Boasting:
    """Says that it has more examples than it has: an epoch would end before it began."""

    @hookimpl
    def prunebench_data(self) -> Data:
        data = ToyData().prunebench_data()
        return replace(data, info=replace(data.info, sizes={**data.info.sizes, "train": 10**6}))


def test_a_run_on_data_that_boasts_fails_and_names_it(tmp_path: Any) -> None:
    more = catalogue().with_components([Component("boasts", ComponentConfig, lambda config: Boasting(), 1)], "lab 0.3")
    outcome = run(tmp_path / "store", {"data": {"use": "boasts"}}, parts=more)
    assert {row["outcome"] for row in rows(outcome)} == {"failed"}
    (error,) = set(outcome.failed.values())
    assert error.startswith('data boasts (lab 0.3): its info says that "train" has 1000000 examples')
