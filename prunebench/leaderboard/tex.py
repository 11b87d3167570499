"""The results as LaTeX: `table.tex`, to be read in by a paper, in plain ASCII."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from prunebench.api.board import AXES, Board, Cell, Group
from prunebench.api.report import between_text, gap_lines, level, plain, value_text

TEX = "table.tex"

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "–": r"\textendash{}",
    "…": r"\ldots{}",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u030a": "r",
    "\u030c": "v",
    "\u0327": "c",
}
_DOTLESS = {"i": r"\i", "j": r"\j"}
_UNSAFE = re.compile("[^A-Za-z0-9.-]+")
_LINE = 88
"""Characters on a line of text, as a paper has it at ten points."""
_LIGATURE = re.compile("-(?=-)")
_GREEK = re.compile(
    "GREEK SMALL LETTER (ALPHA|BETA|GAMMA|DELTA|EPSILON|ZETA|ETA|THETA|IOTA|KAPPA|LAMDA|MU|NU|XI|PI|RHO|SIGMA|TAU"
    "|UPSILON|PHI|CHI|PSI|OMEGA)"
)


def tex(text: object) -> str:
    """Any text so that LaTeX shows it, in ASCII: accents and Greek as commands, what is left by its code point."""
    written = "".join(_character(c) for c in unicodedata.normalize("NFC", plain(text)))
    return _LIGATURE.sub("-{}", written)


def _character(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c.isascii():
        return c
    apart = unicodedata.normalize("NFD", c)
    base, mark = apart[0], apart[1:]
    if base.isascii() and base.isalpha() and mark in _ACCENTS:
        return f"\\{_ACCENTS[mark]}{{{_DOTLESS.get(base, base)}}}"
    greek = _GREEK.fullmatch(unicodedata.name(c, ""))
    if greek:
        return f"\\ensuremath{{\\{greek[1].lower().replace('lamda', 'lambda')}}}"
    return f"{{[U+{ord(c):04X}]}}"


def tex_tables(board: Board) -> str:
    """A booktabs table for each model and data set, with the numbers of the page's first table, labelled.

    A table is no wider than a line of text: columns that do not fit beside one another follow below, and what is too
    wide all the same (a long name) is scaled down.
    """
    columns = AXES[board.axis].replace("density of", "densities are of").replace("density over", "densities are over")
    columns = columns.replace("share of", "columns are the share of")
    head = (
        "% Written by prunebench. In the preamble: \\usepackage{booktabs}, \\usepackage{graphicx} and "
        "\\usepackage{textcomp};\n"
        f"% names are upright text, {columns}, n counts seeds.\n"
    )
    labels = _labels(board)
    return head + "\n".join(
        _table(group, board.alpha, label) for group, label in zip(board.groups, labels, strict=True)
    )


def _labels(board: Board) -> list[str]:
    """A label for each table: what it is of, in characters that are safe in one, each but once."""
    found: list[str] = []
    for group in board.groups:
        parts = (_UNSAFE.sub("-", part).strip("-") for part in (board.name, group.model, group.data))
        label = "tab:" + "-".join(filter(None, parts))
        again = sum(other == label or other.startswith(f"{label}:") for other in found)
        found.append(f"{label}:{again + 1}" if again else label)
    return found


def _table(group: Group, alpha: float, label: str) -> str:
    """One table; `label` is that of a LaTeX reference."""
    metric = group.metric
    first, cells = [], []
    for entry in group.shown:
        own = [entry.cells.get(place, Cell()) for place in group.places]
        seeds = max((cell.n for cell in own), default=0)
        first.append(["" if entry.rank is None else str(entry.rank), entry.name, str(seeds)])
        cells.append([value_text(cell, metric, group.trials, neighbours=False) for cell in own])
    columns = [list(column) for column in zip(group.labels.values(), *cells, strict=True)]
    room = _LINE - max(len(name) for _, name, _ in [*first, ["", "entry", ""]]) - len("rank") - 4
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{tex(group.model)} on {tex(group.data)}: {tex(metric.label)}, mean {tex('±')} "
            f"{tex(level(alpha))} Student interval over seeds, by {AXES[group.axis]}.}}",
            f"\\label{{{label}}}",
            "\n\\\\[6pt]\n".join(_tabular(first, chunk) for chunk in _chunks(columns, room)),
            *_notes(group),
            r"\end{table}",
            "",
        ]
    )


def _tabular(first: Sequence[Sequence[str]], columns: Sequence[Sequence[str]]) -> str:
    """Some columns beside rank, name and n, at most as wide as the text."""
    lines = [
        " & ".join([rank, tex(name), seeds, *(tex(column[row]) for column in columns)]) + r" \\"
        for row, (rank, name, seeds) in enumerate(first, start=1)
    ]
    return "\n".join(
        [
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{rlr{'r' * len(columns)}}}",
            r"\toprule",
            " & ".join(["rank", "entry", "$n$", *(tex(column[0]) for column in columns)]) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
        ]
    )


def _chunks(columns: Sequence[Sequence[str]], room: int) -> list[list[Sequence[str]]]:
    """Columns that fit beside one another in so many characters, in order; at least one of them."""
    chunks: list[list[Sequence[str]]] = [[]]
    left = room
    for column in columns:
        wide = max(map(len, column)) + 2
        if chunks[-1] and wide > left:
            chunks.append([])
            left = room
        chunks[-1].append(column)
        left -= wide
    return chunks


def _notes(group: Group) -> list[str]:
    """Below the table: what interpolated values lie between, and what has no value."""
    lines = [
        f"{plain(entry.name)} at {group.labels[place]}: {between_text(cell.neighbours, group.metric)}"
        for entry in group.shown
        for place, cell in entry.cells.items()
        if cell.neighbours is not None
    ]
    parts = [("≈ interpolated,", lines), ("No value,", gap_lines(group))]
    texts = [f"{tex(start)} {tex('; '.join(found))}." for start, found in parts if found]
    return [rf"\\[2pt] \footnotesize {text}" for text in texts]
