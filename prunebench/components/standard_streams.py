"""Standard output and error of this process: kept while a component works, which may close them or put others there.

A file that is opened after descriptor 1 was closed gets that number, and whatever is printed then goes into the file.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

_NUMBERS = (0, 1, 2)
_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """The streams as they are now."""

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {name: getattr(sys, name) for name in _NAMES}
        self._open = {name for name, one in self._objects.items() if one is not None and not _is_closed(one)}
        self._kept: dict[int, int] = {}
        for number in _NUMBERS:
            with suppress(OSError):  # closed already, as of a program without a terminal
                self._kept[number] = os.dup(number)

    def restore(self) -> bool:
        """Put them back; whether they had changed. May be called once."""
        changed = False
        for number, kept in self._kept.items():
            if not _is_same(number, kept):
                os.dup2(kept, number)
                changed = True
            os.close(kept)
        self._kept = {}
        for name, one in self._objects.items():
            found = getattr(sys, name)
            if name in self._open and _is_closed(one):
                number = _NAMES.index(name)
                one = open(number, "r" if number == 0 else "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
            if found is not one:
                setattr(sys, name, one)
                changed = True
        return changed

    def __del__(self) -> None:
        for kept in self._kept.values():
            with suppress(OSError):
                os.close(kept)


def _is_closed(stream: Any) -> bool:
    return getattr(stream, "closed", False) is True


def _is_same(a: int, b: int) -> bool:
    try:
        return os.path.sameopenfile(a, b)
    except OSError:
        return False
