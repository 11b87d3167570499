"""The rows for other programs: `results.csv` for spreadsheets, `results.parquet` for data frames."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import cache
from io import StringIO
from operator import attrgetter
from pathlib import Path
from typing import Any

from prunebench.api.rows import Row

CSV = "results.csv"
PARQUET = "results.parquet"
COLUMNS = {
    "entry": "text",
    "model": "text",
    "data": "text",
    "seed": "whole",
    "round": "whole",
    "draw": "whole",
    "twin": "whole",
    "role": "text",
    "density": "number",
    "density_all": "number",
    "position": "text",
    "split": "text",
    "metric": "text",
    "value": "number",
    "unit": "text",
    "outcome": "text",
    "environments": "text",
    "key": "text",
    "density_macs": "number",
}
"""The columns in their order, of one kind each. New ones are added at the end, and none is ever renamed."""

_FORMULA = ("=", "+", "-", "@")


def csv_text(rows: Sequence[Row], boards: Sequence[str] | None = None) -> str:
    """One record a line, in the rows' order, with numbers as `repr` has them and nothing for null.

    `boards`: of rows of several leaderboards, the name of each row's; they make a last column, "board".

    Characters that do not print are written as backslash escapes. A text that a spreadsheet would take for a formula
    has an apostrophe before it; `results.parquet` has it as it is.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    cells = columns(rows, boards)
    writer.writerow(cells)
    writer.writerows(zip(*([*map(_cells(column), column)] for column in cells.values()), strict=True))
    return text.getvalue()


def columns(rows: Sequence[Row], boards: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """All rows' cells by column; the environments that a row rests on are joined by spaces.

    `boards`: see `csv_text`.
    """
    found: dict[str, list[Any]] = {name: list(map(attrgetter(name), rows)) for name in COLUMNS}
    found["environments"] = [" ".join(environments) for environments in found["environments"]]
    if boards is not None:
        found["board"] = list(boards)
    return found


def write_records(folder: Path, rows: Sequence[Row]) -> None:
    """Write `results.csv` and `results.parquet`; equal rows give equal bytes under one version of pyarrow."""
    (folder / CSV).write_text(csv_text(rows), encoding="utf-8", newline="\n")
    write_parquet(folder / PARQUET, rows)


def _cells(column: Sequence[Any]) -> Callable[[Any], str]:
    """How the cells of a column are written. Texts are few and stand many times: each is looked at once."""
    return cache(_cell) if column and isinstance(column[0], str) else _cell


def _cell(cell: str | float | None) -> str:
    if not isinstance(cell, str):
        return "" if cell is None else repr(cell)
    shown = cell
    if not cell.isprintable():  # hardly ever
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def write_parquet(path: Path, rows: Sequence[Row], boards: Sequence[str] | None = None) -> None:
    """The same as columns, in one file."""
    import pyarrow as pa
    from pyarrow import parquet

    cells = columns(rows, boards)
    arrays = [_array(column, COLUMNS.get(name, "text")) for name, column in cells.items()]
    parquet.write_table(pa.table(arrays, names=list(cells)), path, compression="zstd")


def _array(column: Sequence[Any], kind: str) -> Any:
    import pyarrow as pa

    if kind == "text":
        # JSON can hold half a surrogate pair, UTF-8 cannot
        texts = {text: text.encode("utf-8", "backslashreplace").decode() for text in set(column)}
        return pa.array(map(texts.__getitem__, column), type=pa.string())
    return pa.array(column, type=pa.int64() if kind == "whole" else pa.float64())
