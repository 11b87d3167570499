import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from prunebench.api.rows import Row
from prunebench.leaderboard.records import COLUMNS, csv_text, write_records

from . import boards
from .boards import typed_row


def row(entry: str, seed: int, density: float | None, value: float | None, **changes: Any) -> Row:
    return typed_row(boards.row(entry, seed, density, value, **changes))


def results() -> list[Row]:
    return [typed_row(one) for one in boards.results()]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_the_columns_are_fixed_and_in_their_order(tmp_path: Path) -> None:
    header = csv_text([]).strip()
    assert header == (
        "entry,model,data,seed,round,draw,twin,role,density,density_all,position,split,metric,value,unit,outcome,"
        "environments,key,density_macs"
    )
    write_records(tmp_path, results())
    table = parquet.read_table(tmp_path / "results.parquet")
    assert table.column_names == header.split(",") == list(COLUMNS)
    assert table.schema.field("seed").type == pa.int64()
    assert table.schema.field("value").type == pa.float64()


def test_numbers_come_back_bit_for_bit_and_null_as_nothing(tmp_path: Path) -> None:
    rows = [row("imp", 0, 0.1 + 0.2, 1 / 3), row("imp", 1, 1, None, outcome="failed", round=None, role="analyse")]
    write_records(tmp_path, rows)
    lines = read((tmp_path / "results.csv").read_text())
    assert (float(lines[0]["density"]), float(lines[0]["value"])) == (0.1 + 0.2, 1 / 3)
    assert (lines[1]["value"], lines[1]["round"]) == ("", "")
    stored = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert stored[0]["value"] == 1 / 3
    assert (stored[1]["value"], stored[1]["round"], stored[1]["density"]) == (None, None, 1.0)


def test_rows_keep_their_order_and_number(tmp_path: Path) -> None:
    rows = list(reversed(results()))
    write_records(tmp_path, rows)
    assert [line["key"] for line in read(csv_text(rows))] == [r.key for r in rows]
    assert [r["seed"] for r in parquet.read_table(tmp_path / "results.parquet").to_pylist()] == [r.seed for r in rows]


def test_environments_of_mixed_rows_are_joined() -> None:
    assert read(csv_text([row("imp", 0, 0.5, 0.9, environments=["ab", "cd"])]))[0]["environments"] == "ab cd"


@pytest.mark.parametrize("name", ["=1+1", "+a", "-b", "@SUM(A1)", "  =x", "\t=x"])
def test_what_a_spreadsheet_would_run_has_an_apostrophe_before_it_in_csv_and_is_itself_in_parquet(
    tmp_path: Path, name: str
) -> None:
    write_records(tmp_path, [row(name, 0, 0.5, -0.9)])
    (line,) = read((tmp_path / "results.csv").read_text())
    assert not line["entry"].lstrip().startswith(("=", "+", "-", "@"))
    assert line["value"] == "-0.9"
    assert parquet.read_table(tmp_path / "results.parquet").to_pylist()[0]["entry"] == name


def test_a_record_is_one_line_whatever_the_name_is() -> None:
    names = ["a\nb", "a\rb", "a\u2028b", 'a"b', "a,b", "\x1b[31m", "\u202e", "\x00"]
    text = csv_text([row(name, 0, 0.5, 0.9) for name in names])
    assert len(text.splitlines()) == len(names) + 1
    assert len({line["entry"] for line in read(text)}) == len(names)
    text.encode("utf-8")


def test_equal_rows_give_equal_bytes_and_no_time_is_stored(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_records(tmp_path / name, results())
    one, other = ((tmp_path / name / "results.parquet").read_bytes() for name in ("a", "b"))
    assert one == other
    assert set(parquet.read_metadata(tmp_path / "a" / "results.parquet").metadata or {}) <= {b"ARROW:schema"}


def test_no_rows_are_a_header_and_an_empty_table(tmp_path: Path) -> None:
    write_records(tmp_path, [])
    assert parquet.read_table(tmp_path / "results.parquet").num_rows == 0


def test_every_kind_of_row_has_all_columns() -> None:
    analysis: dict[str, Any] = {"role": "analyse", "round": None, "position": ""}
    assert set(read(csv_text([row("imp", 0, None, 1.0, **analysis)]))[0]) == set(COLUMNS)
