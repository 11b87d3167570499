"""What a plugin imports of the core: the same allow-list for built-in modules and for strangers' packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import prunebench
from prunebench.api import PUBLIC


def foreign_imports(folder: Path) -> list[str]:
    """Imports below a folder of what is not public, each as "FILE:LINE: MODULE"; empty if there is none.

    Imports for typing alone and inside of functions count too.
    """
    return [
        f"{path.relative_to(folder)}:{line}: {module}"
        for path in sorted(folder.rglob("*.py"))
        for line, module in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if not is_public(module)
    ]


def is_public(module: str) -> bool:
    """Whether a plugin may import a module or name: anything that is not the core's, and the core's public part."""
    if module.partition(".")[0] != "prunebench" or module == "prunebench":
        return True
    return module.removeprefix("prunebench.") in prunebench.__all__ or any(
        module == public or module.startswith(f"{public}.") for public in PUBLIC
    )


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            if node.module == "prunebench":
                yield from ((node.lineno, f"prunebench.{name.name}") for name in node.names)
            else:
                yield node.lineno, node.module
