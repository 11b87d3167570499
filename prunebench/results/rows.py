"""`results.jsonl`: a row a line, written canonically, read with the place of any damage."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.rows import Row, Stated
from prunebench.results.reading import content_in, lines_of, lines_text

RESULTS = "results.jsonl"


def rows_text(rows: Iterable[Row]) -> str:
    """The content of `results.jsonl`."""
    return lines_text(rows)


def parsed_rows(content: bytes, where: str = RESULTS) -> list[Row]:
    """The rows in the content of a `results.jsonl`. Raises PrunebenchError, with file, line and field."""
    return shared(lines_of(content, Row.model_validate_json, where))


def shared(rows: Iterable[Row]) -> list[Row]:
    """The rows, which hold in common what they state."""
    found, stated = list(rows), Stated()
    for row in found:
        stated.share(row)
    return found


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Write one row a line, in the order given."""
    (folder / RESULTS).write_text(rows_text(rows), encoding="utf-8", newline="\n")


def read_rows(folder: Path) -> list[Row]:
    """The rows of a leaderboard, in file order.

    Raises: PrunebenchError, with file, line and field, if one is damaged.
    """
    where = str(Path(folder) / RESULTS)
    rows = parsed_rows(content_in(folder, RESULTS), where)
    if not rows:
        raise PrunebenchError(f"{where}: no results in it")
    return rows
