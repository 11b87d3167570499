"""Files that publishers of data offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Download:
    """A file that a publisher offers: mirrors in order, its checksum ("md5:..." / "sha256:..."), where it goes."""

    urls: tuple[str, ...]
    checksum: str
    path: Path
