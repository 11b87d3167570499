"""The rounds that a file states are drawn, by each analysis that draws some; all are measured."""

from pathlib import Path

import pytest
from engine.toy_runs import run

from prunebench import PlanError
from prunebench.api.errors import ConfigError
from prunebench.testing import toy_plan
from prunebench_plugins.analyses._rounds import DrawnRoundsConfig

DRAWN = ["movement", "surviving-initial-values", "connectivity", "weight-histogram"]


def analysed(**table: object) -> dict[str, object]:
    return {"entry": [{"name": "imp", "analyse": [table]}]}


@pytest.mark.parametrize("name", DRAWN)
def test_only_the_stated_rounds_are_drawn_and_all_are_measured(tmp_path: Path, name: str) -> None:
    outcome = run(tmp_path / "store", analysed(use=name, rounds=[1]))
    assert not outcome.failed
    whole = run(tmp_path / "store", analysed(use=name))
    rows = [{(r.metric, r.round, r.value) for r in o.rows if r.role == "analyse"} for o in (outcome, whole)]
    assert rows[0] == rows[1] != set()
    texts = [f.svg + f.caption for d in outcome.details if d.kind == "analysis" for f in d.figures]
    assert [text for text in texts if "ound 1" in text]
    assert not [text for text in texts if "round 0" in text or "round 2" in text]


@pytest.mark.parametrize("name", DRAWN)
def test_a_round_that_is_not_there_is_an_error_of_the_plan(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: rounds: 9 cannot be drawn; the entry has [01, ]*1, 2"):
        toy_plan(analysed(use=name, rounds=[1, 9]))


@pytest.mark.parametrize("name", DRAWN)
def test_an_analysis_that_states_none_has_the_key_that_it_had_before_they_could_be_stated(name: str) -> None:
    (phase,) = (p for p in toy_plan(analysed(use=name)).phases.values() if p.kind == "analyse")
    assert "rounds" not in phase.spec.analysis.config


def test_a_round_is_not_negative_and_not_unknown() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        DrawnRoundsConfig.model_validate({"rounds": [-1]})
    with pytest.raises(PlanError, match="who: rounds: 3 cannot be drawn; the entry has 1, 2"):
        DrawnRoundsConfig(rounds=(3,)).check("who", (1, 2))
