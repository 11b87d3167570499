"""What an analysis gives is checked where it is made: nonsense costs its own row, and nobody else's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.toy_runs import catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.errors import ContractError
from prunebench.api.measurements import Analysis, Figure, Measurement
from prunebench.engine.phases.analyse import _files

SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"


def of(*measurements: Any, figures: Any = ()) -> Any:
    return Analysis(measurements, figures)


NONSENSE: dict[str, Any] = {
    "no analysis": [Measurement("m", 1.0)],
    "no measurement": of(3),
    "a text": of(Measurement("m", "3")),  # type: ignore[arg-type]
    "a truth": of(Measurement("m", True)),
    "nothing": of(Measurement("m", None)),  # type: ignore[arg-type]
    "no number": of(Measurement("m", float("nan"))),
    "a number that no float holds": of(Measurement("m", 10**400)),
    "a negative round": of(Measurement("m", 1.0, round=-3)),
    "a round that is text": of(Measurement("m", 1.0, round="x")),  # type: ignore[arg-type]
    "a round that is none": of(Measurement("m", 1.0, round=10**9)),
    "a name that a terminal acts on": of(Measurement("a\x1b[31m", 1.0)),
    "a name of two lines": of(Measurement("a\nb", 1.0)),
    "no name": of(Measurement("", 1.0)),
    "a long name": of(Measurement("x" * 5000, 1.0)),
    "a unit that is none": of(Measurement("m", 1.0, unit=3)),  # type: ignore[arg-type]
    "one number twice": of(Measurement("m", 1.0, round=1), Measurement("m", 2.0, round=1)),
    "a picture outside": of(figures=(Figure("../../evil", SVG, "c"),)),
    "a picture with a long name": of(figures=(Figure("a" * 300, SVG, "c"),)),
    "a picture that is none": of(figures=(Figure("f", 3, "c"),)),  # type: ignore[arg-type]
    "two pictures of one name": of(figures=(Figure("f", SVG, "c"), Figure("f", SVG, "d"))),
    "a caption that is none": of(figures=(Figure("f", SVG, None),)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_with_who_gave_it(name: str) -> None:
    with pytest.raises(ContractError, match=r"^analysis a: "):
        _files([NONSENSE[name]], "analysis a")


def test_what_is_right_is_kept() -> None:
    files, meta = _files(
        [of(Measurement("près/1", torch.tensor(2.0), "%", 1), figures=(Figure("a-b_1", SVG, "c"),))],  # type: ignore[arg-type]
        "analysis a",
    )
    assert list(files) == ["a-b_1.svg"]
    assert meta["measurements"][0]["value"] == 2.0


def test_more_numbers_than_anybody_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[_files.__module__], "MEASUREMENTS", 3)
    with pytest.raises(ContractError, match="more than 3 numbers"):
        _files([of(*(Measurement(f"m{i}", 1.0) for i in range(4)))], "analysis a")


class Counting:
    """An analysis of which an earlier version of the suite kept the wrong things."""

    @hookimpl
    def prunebench_analyse(self) -> Analysis:
        return Analysis((Measurement("m", 1.0, unit="x"),), (Figure("f", SVG, "c"),))


@pytest.mark.parametrize("kept", [{"measurements": [{"metric": "m", "value": 1.0}]}, {"measurements": 3}, {}])
def test_nonsense_that_a_store_keeps_costs_its_own_row_at_every_later_run(
    tmp_path: Path, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[_files.__module__]
    monkeypatch.setattr(module, "_files", lambda answers, who: ({}, {**kept, "figures": [{"name": 3}]}))
    more = catalogue().with_components([Component("counts", ComponentConfig, lambda config: Counting(), 1)], "lab 0.3")
    changes = {"entry": [{"name": "imp", "analyse": ["counts"]}]}
    first = run(tmp_path / "store", changes, parts=more)
    monkeypatch.undo()
    again = run(tmp_path / "store", changes, parts=more)
    for outcome in (first, again):
        assert [row["outcome"] for row in rows(outcome, entry="imp", role="analyse")] == ["failed"]
        assert {row["outcome"] for row in rows(outcome, entry="imp", role="evaluate")} == {"ok"}


class Naming:
    @hookimpl
    def prunebench_analyse(self) -> Analysis:
        return Analysis((), (Figure("a" * 300, SVG, "c"),))


def test_a_name_that_no_disk_takes_costs_its_own_row(tmp_path: Path) -> None:
    more = catalogue().with_components([Component("naming", ComponentConfig, lambda config: Naming(), 1)], "lab 0.3")
    outcome = run(tmp_path / "store", {"entry": [{"name": "imp", "analyse": ["naming"]}]}, parts=more)
    (error,) = set(outcome.failed.values())
    assert error.startswith("analysis naming (lab 0.3): a figure is named with at most 100 letters")
    judged = [row for row in rows(outcome, entry="imp") if row["role"] == "evaluate"]
    assert judged
    assert {row["outcome"] for row in judged} == {"ok"}
