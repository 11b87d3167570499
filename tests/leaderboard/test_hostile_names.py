"""Names from files and plugins, through every renderer."""

import csv
import random
import re
import xml.etree.ElementTree as ElementTree
from io import StringIO
from pathlib import Path

import pytest
from pyarrow import parquet

from prunebench.api.board import Blocks
from prunebench.api.report import draw_curves, escape
from prunebench.leaderboard.ranks import draw_ranks
from prunebench.leaderboard.records import csv_text, write_records
from prunebench.leaderboard.tex import tex, tex_tables

from .boards import board, row, typed_row, write
from .latex import lines_of, tokens

_PIECES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]>",
    "<!--",
    "-->",
    "</svg>",
    "&lt;",
    "&#60;",
    "&amp",
    "|",
    "||",
    "`",
    "```",
    "**",
    "__",
    "~~",
    "[x](javascript:1)",
    "![",
    "](",
    "# ",
    "- ",
    "1. ",
    "> ",
    "\\",
    "\\\\",
    "\\input{/etc/passwd}",
    "\\end{tabular}",
    "\\write18{ls}",
    "^^5c",
    "$",
    "$$",
    "\\frac{1}{",
    "{",
    "}",
    "%",
    "#1",
    "_",
    "^",
    "~",
    "&",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(1)",
    '"',
    '""',
    "'",
    ",",
    ";",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\x00",
    "\x07",
    "\x1b[31m",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\ud800",
    "é",
    "e\u0301",
    "ß",
    "θ",
    "名前",
    "🙂",
    "{0}",
    "%s",
    "${x}",
    "../..",
    "nan",
    "None",
    "x" * 200,
    " ",
    "",
)


def names() -> list[str]:
    """500 different ones, the same in every run."""
    chance = random.Random(20190504)
    found = dict.fromkeys(_PIECES)
    while len(found) < 500:
        found["".join(chance.choices(_PIECES[:-2], k=chance.randint(1, 5)))] = None
    return list(found)


NAMES = names()
READ = [name.replace("\ud800", "\ufffd") for name in NAMES]
"""Those that a file can hold: half a surrogate pair is in none that is read."""
BATCHES = [READ[start : start + 50] for start in range(0, 500, 50)]


def test_there_are_500() -> None:
    assert len(set(NAMES)) == 500


def test_markdown_shows_each_as_text_on_one_line() -> None:
    for name in NAMES:
        shown = escape(name)
        assert len(shown.splitlines()) <= 1
        assert not re.search(r"[<>\x00-\x1f\u202e]", shown)
        assert not re.search(r"(?<!\\)(?:\\\\)*[|`*\[\]$~]", shown)


def test_latex_shows_each_as_text() -> None:
    for name in NAMES:
        assert not {"&", "$"} & set(tokens(tex(name)))


@pytest.mark.parametrize("batch", BATCHES[:2])
def test_a_whole_page_and_its_files_keep_their_shape(tmp_path: Path, batch: list[str]) -> None:
    rows = [row(name, seed, d, 0.9) for name in batch for seed in range(2) for d in (0.5, 0.1)]
    rows = [{**r, "model": batch[0], "data": batch[1], "unit": batch[2]} for r in rows]
    page = write(tmp_path, rows, name=batch[3], claim=batch[4], against=batch[5], notes=batch[6:9], entries=batch)
    prose = re.sub(r"```sh\n(.*)\n```", "", page)
    assert "<" not in prose
    for block in page.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}) <= 1
    assert sum(line.startswith("|    1 | ") for line in page.splitlines()) >= 50
    assert len(lines_of((tmp_path / "table.tex").read_text())) == 51
    ElementTree.parse(tmp_path / "curves.svg")


@pytest.mark.parametrize("batch", BATCHES)
def test_tables_for_latex_keep_their_shape(batch: list[str]) -> None:
    rows = [row(name, 0, 0.5, 0.9, model=batch[0], data=batch[1]) for name in batch]
    assert len(lines_of(tex_tables(board(rows, entries=batch)))) == 51


def drawn(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    kinds = {node.tag.rsplit("}", 1)[-1] for node in root.iter()}
    assert kinds <= {"svg", "metadata", "RDF", "Work", "type", "format", "defs", "style", "g", "path", "use", "text",
                     "tspan", "clipPath", "rect", "title", "creator", "Agent"}  # fmt: skip
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("batch", [READ[:250], READ[250:]])
def test_pictures_draw_each_as_text(batch: list[str]) -> None:
    rows = [row(name, 0, 0.5, 0.9, model=batch[0], data=batch[1]) for name in batch]
    assert len(drawn(draw_curves(board(rows, entries=batch)))) > 200
    ranks = Blocks((), {name: 1.0 + place for place, name in enumerate(batch)}, 1.0, 0.5, 2.0, "")
    assert len(drawn(draw_ranks(ranks))) > 200


def test_csv_and_parquet_keep_each_in_its_cell(tmp_path: Path) -> None:
    rows = [typed_row(row(name, 0, 0.5, 0.9, unit=name)) for name in READ]
    write_records(tmp_path, rows)
    lines = list(csv.DictReader(StringIO(csv_text(rows))))
    assert len(lines) == 500
    assert {line["key"] for line in lines} == {"0" * 64}
    for line in lines:
        assert not line["entry"].lstrip().startswith(("=", "+", "-", "@"))
        assert line["entry"].isprintable()
    stored = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [one["entry"] for one in stored] == READ
