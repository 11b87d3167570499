import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.leaderboard.tex import tex, tex_tables

from .boards import board, results, row
from .latex import lines_of, tokens


@settings(deadline=None)
@given(st.text())
def test_any_text_is_text_to_latex(text: str) -> None:
    written = tex(text)
    for known in ("$\\pm$", "$\\times$", "$\\approx$"):
        written = written.replace(known, "")
    assert not {"&", "$"} & set(tokens(written))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("imp-late", "imp-late"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("50 % & $x$ #1_2", r"50 \% \& \$x\$ \#1\_2"),
        (r"\input{x}^~", r"\textbackslash{}input\{x\}\textasciicircum{}\textasciitilde{}"),
        ("é ñ Ş ï ß", "\\'{e} \\~{n} \\c{S} \\\"{\\i} {\\ss}"),
        ("θ=λ", r"\ensuremath{\theta}=\ensuremath{\lambda}"),
        ("名", "{[U+540D]}"),
        ("a\n\\\\b", r"a \textbackslash{}\textbackslash{}b"),
    ],
)
def test_text_is_written_so_that_latex_shows_it(text: str, written: str) -> None:
    assert tex(text) == written


def table(names: list[str]) -> str:
    return tex_tables(board(results(entries=names), entries=("dense", *names)))


def test_the_table_has_the_numbers_of_the_page_in_booktabs() -> None:
    rows = lines_of(table(["imp", "late"]))
    assert rows[0] == ["rank", "entry", "$n$", r"100 \%", r"51.2 \%", r"26.2 \%", r"13.4 \%", r"6.87 \%"]
    assert rows[1][:3] == ["", "dense", "3"]
    assert rows[1][4:] == [r"\textendash{}"] * 4
    assert rows[2][:2] == ["1", "imp"]
    assert all(r" $\pm$ " in cell for cell in rows[2][4:])


def test_every_group_has_a_table() -> None:
    rows = [*results(), *results(model="a&b")]
    text = tex_tables(board(rows))
    assert text.count(r"\begin{table}") == 2
    assert r"\caption{a\&b on mnist: test/accuracy, \%, mean $\pm$ 95 \% Student" in text


def test_many_columns_follow_below_one_another_and_none_is_lost() -> None:
    densities = [round(0.9**k, 4) for k in range(1, 25)]
    text = tex_tables(board([row("imp", seed, d, 0.5 + d / 10 + seed / 100) for d in densities for seed in (0, 1)]))
    blocks = text.split(r"\begin{tabular}")[1:]
    assert len(blocks) > 2
    assert all(len(line) < 120 for block in blocks for line in block.splitlines() if line.endswith("\\\\"))
    assert len(lines_of(text)[0]) == 3 + 24


def test_labels_are_distinct_and_safe_whatever_the_names() -> None:
    rows = [*results(), *results(model="a&b"), *results(model="a b"), *results(model="a--b", data="x_{y}")]
    labels = re.findall(r"\\label\{(.*)\}", tex_tables(board(rows)))
    assert len(set(labels)) == len(labels) == 4
    assert all(re.fullmatch(r"tab:[A-Za-z0-9.:-]+", label) for label in labels)


def test_latex_typesets_it(tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    names = ["a_b & c", r"\input{x}", "50 %", "θ=2 é 名", "$x$ ^~#{}", "`'\"<>|"]
    if latex is None:
        assert len(lines_of(table(names))) == len(names) + 2
        return
    (tmp_path / "table.tex").write_text(table(names))
    preamble = r"\documentclass{article}\usepackage{booktabs}\usepackage{graphicx}\usepackage{textcomp}"
    (tmp_path / "paper.tex").write_text(preamble + r"\begin{document}\input{table}\end{document}")
    subprocess.run([latex, "-halt-on-error", "paper"], cwd=tmp_path, check=True, capture_output=True)
