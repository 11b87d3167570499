"""A user's own module: whether it may run, where its source is, and what that is digested to."""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from prunebench.api.trust import TRUSTED

LARGEST = 2_000
"""Source files of a package that are digested at most."""


def allowed(module: str) -> bool:
    """Whether whoever started the command said that this module's code may run; its submodules may too."""
    named = [name.strip() for name in os.environ.get(TRUSTED, "").split(",")]
    return any(name and (module == name or module.startswith(f"{name}.")) for name in named)


def sources(module: str) -> list[Path]:
    """The source files that a module's answer is taken to depend on: its own, or all of the package that it is in.

    Nothing is imported. Raises ValueError if there is no such module, or if it has no source.
    """
    top = module.partition(".")[0]
    spec = PathFinder.find_spec(top)
    if spec is None:
        raise ValueError(f'no module "{top}" on the path; start the command where it lies, or install it')
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        files = sorted(folder.rglob("*.py"))
        if len(files) > LARGEST:
            raise ValueError(f'"{top}" has {len(files):,} source files; put the factory into a package of its own')
        return files
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise ValueError(f'"{module}" has no source in Python, so nobody could tell when it changes')
    return [Path(spec.origin)]


def digest(module: str) -> str:
    """sha256 of the sources of a module, by their names and contents; 64 hex digits. Raises ValueError."""
    files = sources(module)
    base = files[0].parent if len(files) == 1 else Path(os.path.commonpath([file.parent for file in files]))
    total = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def factory(path: str) -> Any:
    """What "MODULE:NAME" means, imported. Raises ValueError if it is nothing that can be called."""
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ValueError(f'"{path}" is nothing that can be called')
    return found
