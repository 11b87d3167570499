"""One explained name on a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from prunebench.benchmark.reference import Meaning


def meaning_page(one: Meaning) -> RenderableType:
    """What it is, its type and default, what may stand there, and an example."""
    facts = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    allowed = "" if "`" in one.type else ", ".join(map(_written, one.choices))
    for name, text in (
        ("from" if one.kind == "component" else "type", _plain(one.type)),
        ("default", _plain(one.default)),
        ("allowed", allowed),
        ("fits" if one.kind == "component" else "components", ", ".join(one.fits)),
        ("keys", ", ".join(key.removeprefix(f"{one.name}.") for key in one.keys)),
    ):
        if text:
            facts.add_row(name, Text(text))
    parts: list[RenderableType] = [Text(one.name, style="bold"), Text(one.meaning)]
    if facts.row_count:
        parts += ["", facts]
    if one.example:
        parts += ["", Padding(Text(one.example), (0, 0, 0, 4))]
    return Group(*parts)


def _plain(words: str) -> str:
    return words.replace("`", "")


def _written(value: Any) -> str:
    return json.dumps(value)
