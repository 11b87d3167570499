"""A law: whatever a leaderboard states, dropping it everywhere is noticed, in the rows, the details and the provenance.

The forger is careful: every page, digest and manifest fits what is left. So nothing here looks at files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.results.details import parsed_details
from prunebench.results.folder import read_results
from prunebench.results.merge import MARKS
from prunebench.results.provenance import parsed_provenance
from prunebench.verification.audit import contradictions
from prunebench.verification.audit.stated import left_out
from prunebench.verification.audit.whole import contradicted
from prunebench.verification.comparison import compare
from prunebench.verification.rerun import planned

COMMITTED = Path(__file__).parents[2] / "leaderboards" / "quickstart"
"""The smallest committed leaderboard whose data the package brings."""

HERE, THERE = {"torch": "1"}, {"torch": "2"}

AUTHORS_WORD = {"verification", "merged"}
"""Parts of the provenance of which a verification says each time that nothing derives them, or which no run states."""

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """A leaderboard, and what it says before anything is dropped."""

    results: Results
    prepared: Any

    def complaints(self, results: Results) -> list[str]:
        found = [*contradictions(results), *contradicted(results, self.prepared, results.provenance.seeds)]
        return [*found, *left_out(results)]

    def is_noticed(self, results: Results) -> bool:
        """By the audit, or else by a second run of a single entry and seed, wherever that is made."""
        if self.complaints(results):
            return True
        cell = results.provenance.entries[-1], results.provenance.seeds[0]
        sides = [[row for row in one.rows if (row.entry, row.seed) == cell] for one in (results, self.results)]
        lines = [[one for one in each.details if (one.entry, one.seed) == cell] for each in (results, self.results)]
        metric = results.provenance.report.metric
        allowed = {row.name: 1.0 for row in self.results.rows}
        return all(
            not compare(
                sides[0], sides[1], HERE, where, metric=metric, allowed=allowed, details=(lines[0], lines[1])
            ).holds
            for where in (HERE, THERE)
        )


def read(folder: Path, scratch: Path) -> Board:
    results = read_results(folder)
    file = folder.parent / "small.toml"
    source = file if file.exists() else folder.parents[1] / results.provenance.file
    return Board(results, planned(source, results.provenance, scratch / "store"))


@pytest.fixture(scope="module", params=["small", "committed"])
def whole(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Board:
    return read(made if request.param == "small" else COMMITTED, tmp_path_factory.mktemp("plans"))


def paths(value: object, before: Path_ = ()) -> Iterator[Path_]:
    """Every field of a JSON value, however deep; the elements of a list are one, "*"."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*before, name)
            yield from paths(inner, (*before, name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from dict.fromkeys(path for inner in value for path in paths(inner, (*before, "*")))


def without(value: Any, path: Path_) -> Any:
    """A JSON value without a field."""
    name, *rest = path
    if name == "*":
        return [without(inner, tuple(rest)) for inner in value]
    if not isinstance(value, Mapping) or name not in value:
        return value
    left = {key: inner for key, inner in value.items() if key != name}
    return {**left, name: without(value[name], tuple(rest))} if rest else left


def dropped(lines: Sequence[Any], parse: Any, path: Path_) -> list[Any] | None:
    """Lines without a field, read again; None where they can no longer be read, which is noticed."""
    try:
        return [parse(without(line, path)) for line in lines]
    except (ValidationError, PrunebenchError):
        return None


def test_the_whole_leaderboard_says_nothing(whole: Board) -> None:
    assert whole.complaints(whole.results) == []


def test_a_field_that_no_row_has_is_noticed(whole: Board) -> None:
    lines = [row.to_json() for row in whole.results.rows]
    for path in dict.fromkeys(path for line in lines for path in paths(line)):
        rows = dropped(lines, lambda line: Row.model_validate_json(json.dumps(line)), path)
        assert rows is None or whole.is_noticed(replace(whole.results, rows=rows)), path


@pytest.mark.parametrize("name", sorted(Row.model_fields.keys() - {"entry", "model", "data"}))
def test_a_value_that_no_row_has_is_noticed(whole: Board, name: str) -> None:
    """Nothing, an empty text or zero in its place; of marks, what only some rows state in all of them."""
    empty: Any = {
        "note": "x",
        "empty_layers": 1,
        "unscored_layers": ("x",),
        "environments": ("x",),
        "exact": False,
    }.get(name, 0.5 if name.startswith("asked") else None)
    if empty is None and name not in MARKS:
        empty = {"seed": 99, "round": 99, "draw": 99, "twin": 99, "role": "find", "outcome": "failed"}.get(name)
        if name in ("position", "metric", "split", "unit", "key"):
            empty = ""
    rows = [row.model_copy(update={name: empty}) for row in whole.results.rows]
    found = replace(whole.results, rows=rows)
    assert whole.is_noticed(found)


def test_numbers_that_are_dropped_by_metric_split_or_place_are_noticed(whole: Board) -> None:
    rows = whole.results.rows
    for name in ("metric", "split", "position", "round", "role"):
        for value in {getattr(row, name) for row in rows}:
            left = [row for row in rows if getattr(row, name) != value]
            assert not left or whole.is_noticed(replace(whole.results, rows=left)), (name, value)


def test_a_field_that_no_detail_has_is_noticed(whole: Board) -> None:
    lines = [line.to_json() for line in whole.results.details]
    for path in dict.fromkeys(path for line in lines for path in paths(line)):
        details = dropped(lines, lambda line: parsed_details(json.dumps(line).encode())[0], path)
        assert details is None or whole.is_noticed(replace(whole.results, details=details)), path


def test_points_of_curves_and_lines_of_details_that_are_dropped_are_noticed(whole: Board) -> None:
    details = whole.results.details
    for place in (0, len(details[0].curve) // 2, -1):  # type: ignore[union-attr]
        left = [
            line.model_copy(update={"curve": tuple(p for p in line.curve if p is not line.curve[place])})  # type: ignore[union-attr]
            for line in details
        ]
        assert whole.is_noticed(replace(whole.results, details=left)), place
    assert whole.is_noticed(replace(whole.results, details=()))


def test_a_field_that_the_provenance_leaves_out_is_noticed(whole: Board) -> None:
    stated = whole.results.provenance.to_json()
    for path in paths(stated):
        if path[0] in AUTHORS_WORD:
            continue
        try:
            provenance = parsed_provenance(json.dumps(without(stated, path)).encode())
        except PrunebenchError:  # it can no longer be read
            continue
        assert whole.is_noticed(replace(whole.results, provenance=provenance)), path
