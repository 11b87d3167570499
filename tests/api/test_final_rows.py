from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.api.results import final_rows
from prunebench.api.rows import Row
from prunebench.testing import toy_results

ROW = toy_results().rows[0]


def row(position: str, value: float | None = 0.5, **more: Any) -> Row:
    return ROW.model_copy(update={"position": position, "value": value, **more})


def test_only_the_last_position_of_a_run_is_judged_and_not_the_best() -> None:
    early, late = row("90it", 0.9), row("100it", 0.5)
    assert final_rows([late, early], "test/accuracy") == final_rows([early, late], "test/accuracy") == [late]


def test_a_run_that_has_no_number_at_its_end_is_not_judged_by_an_earlier_one() -> None:
    end = row("100it", None, outcome="diverged")
    assert final_rows([row("90it", 0.9), end], "test/accuracy") == [end]


def test_other_splits_metrics_and_roles_are_not_judged() -> None:
    others = [row("1it", split="valid"), row("1it", metric="loss"), row("1it", role="find"), row("1it", role="analyse")]
    assert final_rows(others, "test/accuracy") == []
    assert final_rows(others) == others[:2]


@pytest.mark.parametrize("field", ["entry", "model", "data", "seed", "round", "draw", "twin"])
def test_runs_that_differ_in_anything_are_judged_apart(field: str) -> None:
    other = {"entry": "b", "model": "b", "data": "b", "seed": 7, "round": 7, "draw": 7, "twin": 7}[field]
    rows = [row("10it"), row("20it", **{field: other})]
    assert final_rows(rows, "test/accuracy") == rows


@given(st.permutations([row(f"{at}it", draw=draw) for at in (9, 10, 100) for draw in (0, 1)]))
def test_the_order_of_the_rows_does_not_matter_and_numbers_are_no_text(rows: list[Row]) -> None:
    assert {(found.position, found.draw) for found in final_rows(rows)} == {("100it", 0), ("100it", 1)}


def test_positions_in_different_units_have_no_last_one() -> None:
    with pytest.raises(PrunebenchError, match=r"different units \('2ep' and '100it'\) have no last one"):
        final_rows([row("100it"), row("2ep")])


def test_a_position_that_is_none_is_named_with_its_entry() -> None:
    with pytest.raises(PrunebenchError, match="entry \"dense\": 'soon' is not a position"):
        final_rows([row("100it"), row("soon")])
