"""The table of public modules in plugins/README.md, from the modules themselves.

`python -m prunebench.commands.public_modules plugins/README.md` writes it again.
"""

from __future__ import annotations

import ast
import sys
from importlib.util import find_spec
from pathlib import Path

from prunebench.api import PUBLIC

BEGIN, END = "<!-- public modules: generated -->", "<!-- end of public modules -->"


def public_modules() -> list[tuple[str, str]]:
    """Every public module with the first sentence of its docstring, in order. Nothing is imported."""
    found = []
    for package in PUBLIC:
        spec = find_spec(package)
        assert spec is not None
        for place in spec.submodule_search_locations or ():
            for path in sorted(Path(place).glob("*.py")):
                if path.stem != "__init__" and not path.stem.startswith("_"):
                    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
                    found.append((f"{package}.{path.stem}", doc.split("\n\n")[0].replace("\n", " ")))
    return found


def table() -> str:
    """The table, between its marks."""
    rows = "\n".join(f"| `{name}` | {about} |" for name, about in public_modules())
    return f"{BEGIN}\n| module | what it has |\n|---|---|\n{rows}\n{END}"


def with_table(page: str) -> str:
    """A page with the table between the marks written again. Raises ValueError where it has no marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return before + table() + after


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
