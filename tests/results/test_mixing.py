from typing import Any

import pytest
from leaderboard.boards import PROVENANCE, results, row

from prunebench import PrunebenchError
from prunebench.api.results import Results
from prunebench.leaderboard import check_mixable


def recorded(rows: list[dict[str, Any]] | None = None, **provenance: Any) -> Results:
    return Results("lottery", results() if rows is None else rows, (), {**PROVENANCE, **provenance})


def component(**about: Any) -> dict[str, Any]:
    return {"magnitude": {"version": 1, "distribution": "prunebench 0.1.0", "paper": "", **about}}


def test_results_of_the_same_things_may_be_mixed() -> None:
    check_mixable(recorded(), recorded())
    check_mixable(recorded(), recorded([row("imp", 9, 0.512, 0.9)], finished="later", seeds=[9]))
    check_mixable(recorded(), recorded(schema=1))


def test_another_release_with_the_same_component_versions_may_be_mixed() -> None:
    check_mixable(recorded(), recorded(prunebench="0.2.0", components=component(distribution="prunebench 0.2.0")))
    check_mixable(recorded(), recorded(components={}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema: 1 and 2"),
        ({"components": component(version=2)}, 'component "magnitude": version 1 and 2'),
        ({"components": component(distribution="mine 1.0")}, 'component "magnitude": from prunebench and from mine'),
        ({"profile": "smoke"}, 'profile: none and "smoke"'),
        ({"settings": ["train.batch=60"]}, "settings: none and train.batch=60"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PrunebenchError, match="cannot be mixed") as error:
        check_mixable(recorded(), recorded(**changes))
    assert said in str(error.value)


def test_everything_that_differs_is_named_at_once() -> None:
    with pytest.raises(PrunebenchError) as error:
        check_mixable(recorded(), recorded(profile="smoke", components=component(version=3)))
    assert len(str(error.value).splitlines()) == 3


def test_rows_with_other_fields_are_named() -> None:
    with pytest.raises(PrunebenchError, match="fields of the rows: only one has flops"):
        check_mixable(recorded(), recorded([{**r, "flops": 1} for r in results()]))


def test_two_values_of_one_measurement_are_named() -> None:
    changed = [{**r, "value": 0.5} if r["entry"] == "imp" else r for r in results()]
    with pytest.raises(PrunebenchError, match=r'12 measurements have two values, the first being entry "imp", seed 0'):
        check_mixable(recorded(), recorded(changed))
