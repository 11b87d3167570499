"""Files that publishers of data offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Download:
    """A file that a publisher offers.

    Args:
        urls: mirrors, in order.
        checksum: "md5:...", "sha1:...", "sha256:..." or "sha512:...".
        path: where it goes.
        most: bytes that are taken of an answer before it is given up.
    """

    urls: tuple[str, ...]
    checksum: str
    path: Path
    most: int = 2**33
