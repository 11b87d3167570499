"""A file is written whole or not at all, and never through a link that stands in its place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A place beside a file, for what takes its place at the end of the block; of a link the link itself is replaced.

    Raises: OSError if it cannot be written. What was there is unchanged then.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.aside")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file. Raises OSError; what was there is unchanged then."""
    with aside(path) as beside:
        write_new(beside, content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there, down to the disk. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
