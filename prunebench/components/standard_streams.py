"""Standard output and error of this process: kept while a component works, which may close them or put others there.

A file that is opened after descriptor 1 was closed gets that number, and whatever is printed then goes into the file.
What a component of others prints goes to standard error, since standard output is the command's own (`--json`), with
every character written as an escape that a terminal would act on, and no more of it than a person would read.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from prunebench.api.untrusted_text import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MOST = 8_000
"""Characters that one call of a component, or one phase, may print."""

_NUMBERS = (0, 1, 2)
_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """The streams as they are now.

    Args:
        divert: whether what is printed from now on is a stranger's.
    """

    def __init__(self, *, divert: bool = False) -> None:
        self._kept: dict[int, int] = {}
        self._objects: dict[str, Any] = {name: getattr(sys, name) for name in _NAMES}
        self._open = {name for name, one in self._objects.items() if one is not None and not _is_closed(one)}
        for number in _NUMBERS:
            with suppress(OSError):  # closed already, as of a program without a terminal
                self._kept[number] = os.dup(number)
        if divert:
            _divert()
        self._given: dict[str, Any] = {name: getattr(sys, name) for name in _NAMES}

    def restore(self) -> bool:
        """Put them back; whether they had changed. May be called once."""
        changed = False
        for number, kept in self._kept.items():
            if not _is_same(number, kept):
                changed = True
                with suppress(OSError):  # what is kept was closed too, as with all descriptors of a range
                    os.dup2(kept, number)
            with suppress(OSError):
                os.close(kept)
        self._kept = {}
        for name, one in self._objects.items():
            found, given = getattr(sys, name, None), self._given[name]
            changed = changed or found is not given or (name in self._open and _is_closed(given))
            if name in self._open and _is_closed(one):
                number = _NAMES.index(name)
                one = open(number, "r" if number == 0 else "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
            setattr(sys, name, one)
        return changed

    def __del__(self) -> None:
        for kept in self._kept.values():
            with suppress(OSError):
                os.close(kept)


@contextmanager
def diverted() -> Iterator[None]:
    """Within it, what is printed is a stranger's."""
    before = sys.stdout, sys.stderr
    _divert()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _divert() -> None:
    if sys.stderr is not None and not isinstance(getattr(sys.stdout, "buffer", None), _Buffer):
        sys.stdout = sys.stderr = _told(sys.stderr)


class _Raw(io.RawIOBase):
    """Writes to a text stream what may be shown of bytes, and never closes it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._left = stream, MOST

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, data: ReadableBuffer) -> int:
        content = bytes(data)
        if self._left > 0:
            text = content[: 4 * self._left].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
            shown = printable(text.replace("\r", "\n").expandtabs(), len(text) * 8 + 1)[: self._left]
            self._left -= len(shown)
            if self._left <= 0:
                shown += "\n[what a component printed goes on; more of it is not shown]\n"
            with suppress(OSError, ValueError):
                self._stream.write(shown)
                self._stream.flush()
        return len(content)


class _Buffer(io.BufferedWriter):
    """Tells a diverted stream from others."""


def _told(stream: IO[str]) -> io.TextIOWrapper:
    # Line by line, as standard error: a long phase is seen to go on, and what it said is there if the process ends.
    return io.TextIOWrapper(
        _Buffer(_Raw(stream)), encoding="utf-8", errors="backslashreplace", write_through=True, line_buffering=True
    )


def _is_closed(stream: Any) -> bool:
    """Whether a stream is; one of a program's own may have no more than `write`."""
    return bool(getattr(stream, "closed", False))


def _is_same(a: int, b: int) -> bool:
    try:
        return os.path.sameopenfile(a, b)
    except OSError:
        return False
