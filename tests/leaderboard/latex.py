"""A strict reader of the little LaTeX that tables are made of: what it accepts, LaTeX can typeset."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\[^a-zA-Z]|[{}$&#%_^~]|[^\\{}$&#%_^~]+")
_COMMANDS = (
    "textbackslash textasciicircum textasciitilde textless textgreater textbar textquotedblright textquotesingle "
    "textasciigrave textendash ldots pm times ss ae AE o O i j r v c ensuremath begin end centering caption toprule "
    "midrule bottomrule approx"
)
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega"
)
_KNOWN = frozenset(f"{_COMMANDS} {_GREEK}".split())


def tokens(text: str) -> list[str]:
    """The tokens of a text without comments. Raises ValueError on what LaTeX would not typeset as text."""
    if not text.isascii():
        raise ValueError("not ASCII")
    if re.search(r"[\x00-\x09\x0b-\x1f]", text):
        raise ValueError("control character")
    found = _TOKEN.findall(text)
    if "".join(found) != text:
        raise ValueError(f"cannot be read: {text!r}")
    depth, math = 0, False
    for token in found:
        if token.startswith("\\") and token[1:].isalpha() and token[1:] not in _KNOWN:
            raise ValueError(f"unknown command {token}")
        if token in ("#", "%", "_", "^", "~"):
            raise ValueError(f"{token} is not escaped")
        depth += (token == "{") - (token == "}")
        if depth < 0:
            raise ValueError("a brace too many")
        math ^= token == "$"
    if depth or math:
        raise ValueError("a brace or $ is left open")
    return found


_FIT = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"


def lines_of(table: str) -> list[list[str]]:
    """The cells of the tabulars of a table, laid side by side. Raises ValueError if LaTeX would not take it."""
    rest, found = table.partition(_FIT)[1:][1], list[list[list[str]]]()
    while True:
        tabular, end, rest = rest.partition("\\end{tabular}}\n")
        if not end:
            raise ValueError("a tabular that does not end")
        found.append(_tabular(tabular))
        if not rest.startswith("\\\\[6pt]\n" + _FIT):
            break
        rest = rest.removeprefix("\\\\[6pt]\n" + _FIT)
    if not re.fullmatch(r"(?:\\\\\[2pt\] \\footnotesize .*\n)*\\end\{table\}\n*", rest):
        raise ValueError(f"after the tabulars: {rest!r}")
    if any([line[:3] for line in one] != [line[:3] for line in found[0]] for one in found):
        raise ValueError("tabulars of other entries")
    return [sum([one[row][3:] for one in found], line[:3]) for row, line in enumerate(found[0])]


def _tabular(text: str) -> list[list[str]]:
    body = re.search(r"\\toprule\n(.*?)\\bottomrule\n$", text, re.DOTALL)
    if body is None:
        raise ValueError("no tabular with its rules")
    columns = re.match(r"\\begin\{tabular\}\{([lr]+)\}", text)
    if columns is None:
        raise ValueError("no columns")
    rows = []
    for line in body[1].splitlines():
        if line == "\\midrule":
            continue
        if not line.endswith(" \\\\"):
            raise ValueError(f"a row that does not end: {line!r}")
        cells, cell = [], ""
        for token in tokens(line[:-3]):
            if token == "&":
                cells.append(cell.strip())
                cell = ""
            else:
                cell += token
        rows.append([*cells, cell.strip()])
        if len(rows[-1]) != len(columns[1]):
            raise ValueError(f"{len(rows[-1])} cells in {len(columns[1])} columns")
    return rows
