"""The results as LaTeX: `table.tex`, to be read in by a paper, in plain ASCII."""

from __future__ import annotations

import re
import unicodedata

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
    """A booktabs table for each model and data set, with the numbers of the page's first table."""
    columns = AXES[board.axis].replace("density of", "densities are of").replace("density over", "densities are over")
    columns = columns.replace("share of", "columns are the share of")
    head = (
        "% Written by prunebench. In the preamble: \\usepackage{booktabs} and \\usepackage{textcomp};\n"
        f"% names are upright text, {columns}, n counts seeds.\n"
    )
    return head + "\n".join(_table(group, board.alpha) for group in board.groups)


def _table(group: Group, alpha: float) -> str:
    metric = group.metric
    lines = []
    for entry in group.shown:
        cells = [entry.cells.get(place, Cell()) for place in group.places]
        seeds = max((cell.n for cell in cells), default=0)
        shown = [tex(value_text(cell, metric, group.trials, neighbours=False)) for cell in cells]
        rank = "" if entry.rank is None else str(entry.rank)
        lines.append(" & ".join([rank, tex(entry.name), str(seeds), *shown]) + r" \\")
    labels = [tex(label) for label in group.labels.values()]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{tex(group.model)} on {tex(group.data)}: {tex(metric.label)}, mean {tex('±')} "
            f"{tex(level(alpha))} Student interval over seeds, by density.}}",
            f"\\begin{{tabular}}{{rlr{'r' * len(labels)}}}",
            r"\toprule",
            " & ".join(["rank", "entry", "$n$", *labels]) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            *_notes(group),
            r"\end{table}",
            "",
        ]
    )


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
