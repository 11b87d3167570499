from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench.api.errors import ConfigError
from prunebench.api.masks import Mask
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, toy_plan, weight_units
from prunebench_plugins.analyses.lpr_difference import LprDifference, LprDifferenceConfig

OTHER = {"name": "other", "extends": "imp", "schedule": "rewind", "select": "uniform", "analyse": []}


def comparing(to: str = "other") -> list[dict[str, object]]:
    return [OTHER, {"name": "imp", "analyse": [{"use": "lpr-difference", "to": to}]}]


class TestLprDifference(AnalyseContract):
    component = {"use": "lpr-difference", "to": "other"}

    def inputs(self) -> Inputs:
        tickets = super().inputs()["tickets"][1:]
        return {"ours": tickets, "theirs": tuple(reversed(tickets))}


def test_differences_are_of_the_fractions_pruned() -> None:
    units = weight_units(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3)))
    ours = Mask((torch.arange(8) < 6, torch.arange(6) < 3))
    theirs = Mask((torch.arange(8) < 4, torch.arange(6) < 5))
    inputs = {"ours": (Optimum({}, ours, 1),), "theirs": (Optimum({}, theirs, 1),)}
    analysis = LprDifference(LprDifferenceConfig(to="other")).prunebench_analyse(inputs, units)  # type: ignore[arg-type]
    found = {m.metric: m.value for m in analysis.measurements}
    assert found == pytest.approx(
        {"largest": 1 / 3, "mean": (1 / 4 + 1 / 3) / 2, "difference/0.weight": -1 / 4, "difference/1.weight": 1 / 3}
    )


def test_a_run_compares_the_tickets_of_each_round(tmp_path: Path) -> None:
    outcome = run(tmp_path, entry=comparing())
    found = rows(outcome, entry="imp", role="analyse", metric="lpr-difference/largest")
    assert [row["round"] for row in found] == [1, 2]
    assert all(0 < row["value"] < 1 for row in found)


def test_an_entry_compared_with_itself_does_not_differ(tmp_path: Path) -> None:
    same = {"name": "again", "extends": "imp", "schedule": "rewind", "analyse": []}
    outcome = run(tmp_path, entry=[same, comparing("again")[1]])
    assert {row["value"] for row in rows(outcome, metric="lpr-difference/largest")} == {0.0}


def test_an_entry_that_prunes_nothing_cannot_be_compared_with() -> None:
    with pytest.raises(ConfigError, match='no round is pruned both here and in entry "dense"'):
        toy_plan(entry=[comparing("dense")[1]])


def test_an_entry_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match='no entry "othr"'):
        toy_plan(entry=comparing("othr"))
