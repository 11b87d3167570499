"""Markdown that cannot be broken by a name, and tables that read well unrendered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from unicodedata import combining, east_asian_width

_SPECIAL = re.compile(r"[\\`*\[\]|$~]")
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def plain(text: object) -> str:
    """Any text on one line, without control or direction characters."""
    shown = str(text)
    if not shown.isprintable():  # hardly ever
        shown = "".join(c if c.isprintable() else " " for c in shown)
    return " ".join(shown.split())


def escape(text: object) -> str:
    """Any text so that it shows as itself, inside a table cell too; an underscore between letters stays readable."""
    escaped = _SPECIAL.sub(lambda match: "\\" + match.group(), plain(text))
    escaped = _OUTER_UNDERSCORE.sub(r"\\_", _ENTITY.sub("&amp;", escaped))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def percent_labels(shares: Iterable[float]) -> dict[float, str]:
    """Shares in percent with three significant digits, or as many as tell them apart."""
    shares, digits = list(shares), 3
    while True:
        labels = {share: f"{100 * share:#.{digits}g}".rstrip(".") + " %" for share in shares}
        if len(set(labels.values())) == len(labels) or digits == 12:
            return labels
        digits += 1


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A padded pipe table; `align` has "l" or "r" for each column.

    Cells are Markdown already: the caller escapes what is not his own text.
    """
    widths = [max(3, *(display_width(line[i]) for line in (head, *rows))) for i in range(len(head))]
    ruler = ["-" * (width - 1) + (":" if side == "r" else "-") for width, side in zip(widths, align, strict=True)]
    return "\n".join("| " + " | ".join(_pad(line, widths, align)) + " |" for line in (head, ruler, *rows))


def _pad(line: Sequence[str], widths: Sequence[int], align: str) -> list[str]:
    padded = []
    for cell, width, side in zip(line, widths, align, strict=True):
        room = " " * (width - display_width(cell))
        padded.append(room + cell if side == "r" else cell + room)
    return padded


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
