"""The rows for other programs: `results.csv` for spreadsheets, `results.parquet` for data frames."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
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


def record(row: Row) -> dict[str, Any]:
    """A row as plain cells, by column; the environments that it rests on are joined by spaces."""
    cells = {name: getattr(row, name) for name in COLUMNS}
    cells["environments"] = " ".join(row.environments)
    return cells


def csv_text(rows: Sequence[Row], boards: Sequence[str] | None = None) -> str:
    """One record a line, in the rows' order, with numbers as `repr` has them and nothing for null.

    `boards`: of rows of several leaderboards, the name of each row's; they make a last column, "board".

    Characters that do not print are written as backslash escapes. A text that a spreadsheet would take for a formula
    has an apostrophe before it; `results.parquet` has it as it is.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *([] if boards is None else ["board"])])
    for number, row in enumerate(rows):
        cells = [*record(row).values(), *([] if boards is None else [boards[number]])]
        writer.writerow(["" if cell is None else _cell(cell) for cell in cells])
    return text.getvalue()


def write_records(folder: Path, rows: Sequence[Row]) -> None:
    """Write `results.csv` and `results.parquet`; equal rows give equal bytes under one version of pyarrow."""
    (folder / CSV).write_text(csv_text(rows), encoding="utf-8", newline="\n")
    write_parquet(folder / PARQUET, rows)


def _cell(cell: str | float) -> str:
    if not isinstance(cell, str):
        return repr(cell)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def write_parquet(path: Path, rows: Sequence[Row], boards: Sequence[str] | None = None) -> None:
    """The same as columns, in one file."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64()}
    records = [record(row) for row in rows]
    columns = [
        pa.array([_stored(line[name], kind) for line in records], type=kinds[kind]) for name, kind in COLUMNS.items()
    ]
    names = list(COLUMNS)
    if boards is not None:
        columns, names = (
            [*columns, pa.array([_stored(name, "text") for name in boards], type=pa.string())],
            [*names, "board"],
        )
    parquet.write_table(pa.table(columns, names=names), path, compression="zstd")


def _stored(cell: Any, kind: str) -> Any:
    if kind == "text" and cell is not None:
        # JSON can hold half a surrogate pair, UTF-8 cannot
        return cell.encode("utf-8", "backslashreplace").decode()
    return float(cell) if kind == "number" and cell is not None else cell
