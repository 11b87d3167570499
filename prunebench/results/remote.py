"""A leaderboard's results read from where a web server shows its folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.kernels.bounded_http import content_at
from prunebench.results.folder import read_results, recorded
from prunebench.results.manifest import INDEX, MANIFEST, SOURCES, read_manifest
from prunebench.results.reading import sha256_of

MOST_BYTES = {MANIFEST: 16 << 20, **dict.fromkeys(SOURCES, 512 << 20)}
"""The largest file of each name that is taken from a server: it is held in memory, and less than a folder may have."""
SECONDS = 600.0
"""For each file."""

_PAGES = (MANIFEST, INDEX, "README.md")


def results_at(place: str | Path) -> Results:
    """A leaderboard's results, from its folder, or from the address at which a web server shows the folder.

    Args:
        place: a folder, or an address of http or https: that of the folder, or of its manifest, page or README.
    Raises:
        PrunebenchError: no leaderboard is there, or a file of it was edited or is damaged.
    """
    if isinstance(place, str) and re.match("https?://", place, re.IGNORECASE):
        return _fetched(place)
    return read_results(place)


def _fetched(address: str) -> Results:
    base = urljoin(address, ".") if address.rsplit("/", 1)[-1] in _PAGES else f"{address.rstrip('/')}/"
    with tempfile.TemporaryDirectory(prefix="prunebench-results-") as place:
        folder = Path(place)
        _fetch(base, [MANIFEST], folder)
        try:
            listed = read_manifest(folder).files
            _fetch(base, SOURCES, folder)
            for name in SOURCES:
                if sha256_of(folder / name) != listed.get(name):
                    raise PrunebenchError(f"{folder}: {name}: its sha256 is not the manifest's")
            return recorded(folder)
        except PrunebenchError as error:
            raise PrunebenchError(str(error).replace(f"{folder}", base.rstrip("/"))) from error


def _fetch(base: str, names: Iterable[str], folder: Path) -> None:
    """Write files of a server into a folder; names are this module's own, and none is the server's."""
    for name in names:
        try:
            content = content_at(urljoin(base, name), MOST_BYTES[name], SECONDS)
        except (OSError, HTTPException, ValueError) as error:
            why = str(getattr(error, "reason", None) or error)
            raise PrunebenchError(
                f"{base}{name}: cannot be read: {why}; what is asked for is the address below which the files of a "
                "leaderboard lie as they are (on GitHub, that of its raw files)"
            ) from error
        (folder / name).write_bytes(content)
