"""The tables of keys in docs/benchmark-file.md, from the tables that check a file.

`python -m prunebench.commands.file_reference docs/benchmark-file.md` writes them again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from prunebench.benchmark.reference import TABLES, Meaning, Reference
from prunebench.components.catalogue import Catalogue

_PART = re.compile(r"<!-- keys of (?P<name>[\w. -]+): generated -->\n.*?<!-- end of keys -->", re.DOTALL)
THE_FILE = "the file"
"""What the table of the file itself is called in a page's marks."""


def with_tables(page: str, reference: Reference) -> str:
    """A page with each table between its marks, `<!-- keys of entry: generated -->`, written again.

    Raises:
        ConfigError: a mark names neither a table of a file nor a component.
    """

    def written(part: re.Match[str]) -> str:
        name = part["name"]
        return f"<!-- keys of {name}: generated -->\n{keys_table(_keys(name, reference))}\n<!-- end of keys -->"

    return _PART.sub(written, page)


def keys_table(keys: Iterable[Meaning]) -> str:
    """A table of keys, in Markdown."""
    rows = ([f"`{one.name.rpartition('.')[2]}`", one.type, one.default, one.meaning] for one in keys)
    lines = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *lines])


def _keys(name: str, reference: Reference) -> Iterable[Meaning]:
    if name == THE_FILE or name in TABLES:
        return reference.table("" if name == THE_FILE else name)
    return reference.options(reference.catalogue.find(name))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(with_tables(page.read_text(encoding="utf-8"), Reference(Catalogue.load())), encoding="utf-8")
